"""The exporter's logins work: it reads the database and lists each bucket that it writes to."""

from itertools import islice

from crypto_analytics.exporter.settings import ExporterSettings
from crypto_analytics.store import postgres
from crypto_analytics.store.objects import open_store

settings = ExporterSettings()
with postgres.connect(settings, "helm-test") as connection:
    (minutes,) = connection.execute("select count(*) from fact_realtime_trades_1m").fetchone()
print(f"{settings.POSTGRES_USER} reads {minutes} candles in {settings.POSTGRES_HOST}")
store = open_store(settings)
for bucket in (settings.BUCKET_RAW, settings.BUCKET_BRONZE, settings.BUCKET_SILVER, settings.BUCKET_GOLD):
    first = [found.key for found in islice(store.list(bucket), 1)]
    print(f"{settings.S3_ACCESS_KEY} lists {bucket} in {settings.S3_ENDPOINT}: {first or 'empty'}")
