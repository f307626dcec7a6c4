"""Run ``python -m ge``: the checkpoint silver_gate on analytics.silver_klines_1m.

Exit codes: 0 silver is as expected, 1 it is not, or could not be judged or recorded, 2 wrong settings. Data Docs that
cannot be published change no verdict: it is said, and the run's row in quality_gate_runs has no docs_path.
"""

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING

from crypto_analytics.runtime.settings import describe, load
from crypto_analytics.store.objects import open_store
from ge.settings import GateSettings

if TYPE_CHECKING:
    from ge.gate import Judged


def main() -> int:
    """Return 0 where silver is as expected, 1 where it is not, or could not be judged or recorded."""
    argparse.ArgumentParser(
        prog="python -m ge",
        description=__doc__,
        epilog=describe(GateSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    settings = load(GateSettings, "silver_gate")
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the library is imported

    from ge.gate import judged  # noqa: PLC0415  # takes seconds: after the settings are known to be right

    started = time.monotonic()
    try:
        with judged(settings) as run:
            seconds = time.monotonic() - started
            docs_path, docs = _publish(run, settings)
    except Exception as error:  # noqa: BLE001  # whatever went wrong, gold must not be built
        _complain(f"could not judge silver: {settings.without_secrets(str(error))}")
        _complain("check that PostgreSQL is up and dbt has built silver, then run it again")
        return 1
    is_recorded = _record(run, docs_path, settings)
    passed = run.expectations - len(run.failures)
    print(f"silver_gate: {passed} of {run.expectations} expectations hold, {seconds:.1f} s; {docs}")
    for line in run.failures:
        print(f"silver_gate: FAILED {line}")
    if not run.succeeded:
        print(
            "silver_gate: gold stays as it is. Look the rows up in analytics.silver_klines_1m, mend their source "
            "(raw_klines or fact_realtime_trades_1m) and run the batch again"
        )
    return 0 if run.succeeded and is_recorded else 1


def _publish(run: "Judged", settings: GateSettings) -> tuple[str, str]:
    """Return the path of the run's page in the site, empty where it could not be published, and what to say of it."""
    from ge import data_docs  # noqa: PLC0415  # as above

    bucket = settings.BUCKET_DATA_DOCS
    try:
        path = data_docs.publish(run, open_store(settings), bucket, runs=settings.GE_DATA_DOCS_RUNS)
    except Exception as error:  # noqa: BLE001  # the verdict stands, whatever becomes of its pages
        cause = " ".join(settings.without_secrets(f"{type(error).__name__}: {error}").split())
        _complain(f"WARNING no Data Docs of this run, the verdict stands: {cause}; check OBJECT_STORE* and S3_*")
        return "", "no docs"
    return path, f"docs: {bucket}/{data_docs.SITE}/{path}"


def _record(run: "Judged", docs_path: str, settings: GateSettings) -> bool:
    """Return whether the run is in the table; what keeps it out is said."""
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  # as above

    from ge import history  # noqa: PLC0415  # as above

    try:
        history.record(run, docs_path, settings)
    except SQLAlchemyError as error:
        cause = " ".join(settings.without_secrets(str(error.args[0] if error.args else error)).split())
        _complain(f"could not record the run in quality_gate_runs: {cause}; check PostgreSQL, then run it again")
        return False
    return True


def _complain(line: str) -> None:
    print(f"silver_gate: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
