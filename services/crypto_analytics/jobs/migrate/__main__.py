"""Run ``python -m crypto_analytics.jobs.migrate``: apply missing migrations, set passwords, create databases."""

import psycopg

from crypto_analytics.jobs.migrate import databases, migrations
from crypto_analytics.jobs.migrate.settings import MigrateSettings
from crypto_analytics.runtime import logs
from crypto_analytics.runtime.settings import command_line, load
from crypto_analytics.store import postgres


def main() -> int:
    """Return 0 where the schema is up to date, 1 where the job failed."""
    parser = command_line("jobs.migrate", __doc__, MigrateSettings)
    parser.parse_args()
    settings = load(MigrateSettings, "migrate")
    log = logs.setup("migrate", settings)
    passwords = {
        "writer": settings.WRITER_PASSWORD.get_secret_value(),
        "transformer": settings.TRANSFORMER_PASSWORD.get_secret_value(),
        "gate": settings.GATE_PASSWORD.get_secret_value(),
        "producer": settings.PRODUCER_PASSWORD.get_secret_value(),
        "reader": settings.READER_PASSWORD.get_secret_value(),
    }
    if monitor := settings.MONITOR_PASSWORD.get_secret_value():
        passwords["monitor"] = monitor
    other_databases = {"airflow": settings.AIRFLOW_PASSWORD, "superset": settings.SUPERSET_PASSWORD}
    try:
        with postgres.connect(settings, "migrate") as connection:
            applied = migrations.apply(connection, settings.MIGRATIONS_DIR, passwords)
            created = [
                name
                for name, password in other_databases.items()
                if password.get_secret_value() and databases.ensure(connection, name, password.get_secret_value())
            ]
    except (psycopg.Error, migrations.MigrationChanged, FileNotFoundError) as error:
        log.error("migration_failed", error=str(error), next="correct the cause and run the job again; it resumes")
        return 1
    log.info("migration_finished", applied=applied, databases_created=created)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
