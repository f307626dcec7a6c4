"""Run ``python -m ge``: the checkpoint silver_gate on analytics.silver_klines_1m.

Exit codes: 0 silver is as expected, 1 it is not or could not be judged, 2 wrong settings.
"""

import argparse
import os
import sys
import time

from ge import data_docs, verdict
from ge import settings as gate_settings

_HELP = """\
Settings are environment variables:
  POSTGRES_HOST, POSTGRES_PORT, POSTGRES_DB, POSTGRES_SSLMODE   where silver is
  POSTGRES_USER, POSTGRES_PASSWORD                              a role that may read it: reader (required)
  SYMBOLS               the symbols that silver may hold (default BTCUSDT,ETHUSDT,BNBUSDT)
  AS_OF                 no candle may open after this ISO 8601 time (default: now)
  GE_DATA_DOCS_DIR      folder of the results and Data Docs (required)
  GE_DATA_DOCS_RUNS     how many runs are kept there (default 50)
"""


def main() -> int:
    """Return 0 where silver is as expected, 1 where it is not or could not be judged, 2 for wrong settings."""
    argparse.ArgumentParser(
        prog="python -m ge", description=__doc__, epilog=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    try:
        settings = gate_settings.load()
    except gate_settings.SettingsError as error:
        print(f"silver_gate: {error}", file=sys.stderr)
        return 2
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the library is imported

    from ge import gate  # noqa: PLC0415  # takes seconds: after the settings are known to be right

    started = time.monotonic()
    try:
        result = gate.run(settings)
    except Exception as error:  # noqa: BLE001  # whatever went wrong, gold must not be built
        print(f"silver_gate: could not judge silver: {settings.without_password(str(error))}", file=sys.stderr)
        print("silver_gate: check that PostgreSQL is up and dbt has built silver, then run it again", file=sys.stderr)
        return 1
    results = [each for run in result.run_results.values() for each in run.to_json_dict()["results"]]
    failed = verdict.failures(results)
    page = data_docs.index(settings.data_docs_dir)
    passed = len(results) - len(failed)
    seconds = time.monotonic() - started
    print(f"silver_gate: {passed} of {len(results)} expectations hold, {seconds:.1f} s; docs: {page}")
    for line in failed:
        print(f"silver_gate: FAILED {line}")
    if failed:
        print(
            "silver_gate: gold stays as it is. Look the rows up in analytics.silver_klines_1m, mend their source "
            "(raw_klines or fact_realtime_trades_1m) and run the batch again"
        )
    return 1 if failed or not result.success else 0


if __name__ == "__main__":
    sys.exit(main())
