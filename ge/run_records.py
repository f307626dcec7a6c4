"""Write the table quality_gate_runs, one row for each run of the gate, for the dashboard."""

from datetime import timedelta

from sqlalchemy import create_engine, text

from ge.gate import Validation
from ge.settings import GateSettings

_INSERT = text("""
    insert into quality_gate_runs (run_time, succeeded, expectations, failed, failures, docs_path)
    values (:run_time, :succeeded, :expectations, :failed, :failures, :docs_path)
""")
_DELETE_OLD = text("delete from quality_gate_runs where run_time < :oldest")


def record(validation: Validation, docs_path: str, settings: GateSettings) -> None:
    """Insert the run and delete old ones; ``docs_path`` is empty if no page was published.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database is not reachable, or refuses the statement.
    """
    row = {
        "run_time": validation.run_time,
        "succeeded": validation.succeeded,
        "expectations": validation.expectations,
        "failed": len(validation.failures),
        "failures": list(validation.failures),
        "docs_path": docs_path,
    }
    engine = create_engine(settings.connection_url)
    try:
        with engine.begin() as connection:
            connection.execute(_INSERT, row)
            connection.execute(_DELETE_OLD, {"oldest": validation.run_time - timedelta(days=settings.GE_HISTORY_DAYS)})
    finally:
        engine.dispose()
