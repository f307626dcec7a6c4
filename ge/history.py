"""The table quality_gate_runs: every run with its verdict, for the dashboard."""

from datetime import timedelta

from sqlalchemy import create_engine, text

from ge.gate import Judged
from ge.settings import GateSettings

_INSERT = text("""
    insert into quality_gate_runs (run_time, succeeded, expectations, failed, failures, docs_path)
    values (:run_time, :succeeded, :expectations, :failed, :failures, :docs_path)
""")
_FORGET = text("delete from quality_gate_runs where run_time < :oldest")


def record(judged: Judged, docs_path: str, settings: GateSettings) -> None:
    """Write the run to the table and forget the old ones; ``docs_path`` is empty where no page was published.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database is away, or refuses.
    """
    row = {
        "run_time": judged.run_time,
        "succeeded": judged.succeeded,
        "expectations": judged.expectations,
        "failed": len(judged.failures),
        "failures": list(judged.failures),
        "docs_path": docs_path,
    }
    engine = create_engine(settings.connection_url)
    try:
        with engine.begin() as connection:
            connection.execute(_INSERT, row)
            connection.execute(_FORGET, {"oldest": judged.run_time - timedelta(days=settings.GE_HISTORY_DAYS)})
    finally:
        engine.dispose()
