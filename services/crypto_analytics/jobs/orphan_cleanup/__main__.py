"""Run ``python -m crypto_analytics.jobs.orphan_cleanup``: remove raw objects that no transaction lists."""

from datetime import UTC, datetime, timedelta

import psycopg
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from crypto_analytics.jobs.orphan_cleanup.orphans import sweep, unlisted
from crypto_analytics.jobs.orphan_cleanup.settings import SweepSettings
from crypto_analytics.runtime import logs, metrics
from crypto_analytics.runtime.settings import command_line, load
from crypto_analytics.store import postgres
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.objects import open_store


def main() -> int:
    """Return 0 where the archive is swept, 1 where a store was away."""
    parser = command_line("jobs.orphan_cleanup", __doc__, SweepSettings)
    parser.add_argument("--dry-run", action="store_true", help="only print the keys that would be removed")
    arguments = parser.parse_args()
    settings = load(SweepSettings, "sweep")
    log = logs.setup("sweep", settings)
    archive = RawArchive(open_store(settings), settings.BUCKET_RAW)
    grace = timedelta(seconds=settings.SWEEP_GRACE_SECONDS)
    now = datetime.now(UTC)
    try:
        with postgres.connect(settings, "sweep") as connection:
            if arguments.dry_run:
                for key in unlisted(connection, archive, now, grace):
                    log.info("would_remove", key=key)
                return 0
            count = sweep(connection, archive, now, grace)
    except (psycopg.Error, OSError, MinioException, HTTPError) as error:
        log.error("failed", error=str(error).strip(), next="run the same command again when the stores are back")
        return 1
    metrics.ORPHANS_DELETED.inc(count)
    log.info("done", removed=count)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
