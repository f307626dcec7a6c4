"""Every migration is applied, and every role logs in and reads what it has to."""

import sys

import psycopg

from crypto_analytics.migrate.settings import MigrateSettings
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
CANDLES, RUNS = "select count(*) from fact_realtime_trades_1m", "select count(*) from quality_gate_runs"
for role in ("writer", "transformer", "gate", "reader"):
    login = settings.model_copy(
        update={"POSTGRES_USER": role, "POSTGRES_PASSWORD": getattr(settings, f"{role.upper()}_PASSWORD")}
    )
    try:
        with postgres.connect(login, "helm-test") as connection:
            (rows,) = connection.execute(RUNS if role == "gate" else CANDLES).fetchone()
    except psycopg.Error as error:
        sys.exit(f"{role}: {error}; next: {AGAIN}")
    print(f"{role} reads {rows} {'runs' if role == 'gate' else 'candles'}; migrations applied: {len(applied)}")
