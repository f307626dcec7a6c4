"""Run ``python -m ge``: the checkpoint silver_gate on analytics.silver_klines_1m.

Exit codes: 0 all expectations hold, 1 one fails, or silver could not be validated or the run not recorded, 2 wrong
settings. If the Data Docs cannot be published, the exit code stays the same: a warning is printed, and the run's row in
quality_gate_runs has no docs_path.
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
    from ge.gate import Validation


def main() -> int:
    """Validate silver, publish and record the result; return the exit code."""
    argparse.ArgumentParser(
        prog="python -m ge",
        description=__doc__,
        epilog=describe(GateSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    settings = load(GateSettings, "silver_gate")
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the library is imported

    from ge.gate import validated  # noqa: PLC0415  # the import takes seconds, so the settings are validated first

    started = time.monotonic()
    try:
        with validated(settings) as run:
            seconds = time.monotonic() - started
            docs_path, docs = _publish(run, settings)
    except Exception as error:  # noqa: BLE001  # gold must not be built after any error
        _print_error(f"could not validate silver: {settings.without_secrets(str(error))}")
        _print_error("check that PostgreSQL runs and dbt has built silver, then run the step again")
        return 1
    is_recorded = _record(run, docs_path, settings)
    passed = run.expectations - len(run.failures)
    print(f"silver_gate: {passed} of {run.expectations} expectations hold, {seconds:.1f} s; {docs}")
    for line in run.failures:
        print(f"silver_gate: FAILED {line}")
    if not run.succeeded:
        print(
            "silver_gate: gold is not built. Find the rows in analytics.silver_klines_1m, correct their source "
            "(raw_klines or fact_realtime_trades_1m) and run the batch again"
        )
    return 0 if run.succeeded and is_recorded else 1


def _publish(run: "Validation", settings: GateSettings) -> tuple[str, str]:
    """Publish the Data Docs; return the path of the run's page (empty after an error) and a short message."""
    from ge import data_docs  # noqa: PLC0415  # as above

    bucket = settings.BUCKET_DATA_DOCS
    try:
        path = data_docs.publish(
            run,
            open_store(settings),
            bucket,
            runs=settings.GE_DATA_DOCS_RUNS,
            page_files=settings.GE_PAGE_FILES,
            dbt_docs=settings.GE_DBT_DOCS,
        )
    except Exception as error:  # noqa: BLE001  # the result of the validation does not depend on its pages
        cause = " ".join(settings.without_secrets(f"{type(error).__name__}: {error}").split())
        _print_error(
            f"WARNING no Data Docs of this run, its result is not affected: {cause}; check OBJECT_STORE* and S3_*"
        )
        return "", "no docs"
    return path, f"docs: {bucket}/{data_docs.SITE}/{path}"


def _record(run: "Validation", docs_path: str, settings: GateSettings) -> bool:
    """Record the run and return whether that succeeded; an error is printed."""
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  # as above

    from ge import run_records  # noqa: PLC0415  # as above

    try:
        run_records.record(run, docs_path, settings)
    except SQLAlchemyError as error:
        cause = " ".join(settings.without_secrets(str(error.args[0] if error.args else error)).split())
        _print_error(
            f"could not record the run in quality_gate_runs: {cause}; check PostgreSQL, then run the step again"
        )
        return False
    return True


def _print_error(line: str) -> None:
    print(f"silver_gate: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
