"""Check that all migrations are applied, and that every role can log in and read its tables."""

import sys

import psycopg

from crypto_analytics.jobs.migrate.settings import MigrateSettings
from crypto_analytics.store import postgres

AGAIN = (
    "kubectl -n crypto-analytics delete jobs -l app.kubernetes.io/name=migrate"
    " && helmfile -e <environment> sync -l name=migrate"
)

settings = MigrateSettings()
wanted = sorted(file.name for file in settings.MIGRATIONS_DIR.glob("*.sql"))
with postgres.connect(settings, "helm-test") as connection:
    applied = [name for (name,) in connection.execute("select name from schema_migrations order by name")]
if not wanted or applied != wanted:
    sys.exit(f"applied are {applied}, this image has {wanted}; next: {AGAIN}")
CANDLES = "select count(*) from fact_realtime_trades_1m"
READS = {
    "writer": CANDLES,
    "transformer": CANDLES,
    "gate": "select count(*) from quality_gate_runs",
    "producer": "select count(*) from trade_id_gaps",
    "reader": CANDLES,
}
for role, query in READS.items():
    login = settings.model_copy(
        update={"POSTGRES_USER": role, "POSTGRES_PASSWORD": getattr(settings, f"{role.upper()}_PASSWORD")}
    )
    try:
        with postgres.connect(login, "helm-test") as connection:
            (rows,) = connection.execute(query).fetchone()
    except psycopg.Error as error:
        sys.exit(f"{role}: {error}; next: {AGAIN}")
    print(f"{role} reads {rows} rows of {query.split()[-1]}; migrations applied: {len(applied)}")
