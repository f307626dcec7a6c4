"""Run ``python -m crypto_analytics.jobs.orphan_cleanup``: delete raw objects that no transaction lists."""

from datetime import UTC, datetime, timedelta

import psycopg
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from crypto_analytics.jobs.orphan_cleanup.orphans import delete_orphans, orphans
from crypto_analytics.jobs.orphan_cleanup.settings import OrphanCleanupSettings
from crypto_analytics.runtime import logs, metrics
from crypto_analytics.runtime.settings import command_line, load
from crypto_analytics.store import postgres
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.objects import open_store


def main() -> int:
    """Return 0 where all orphans were deleted, 1 where the job failed."""
    parser = command_line("jobs.orphan_cleanup", __doc__, OrphanCleanupSettings)
    parser.add_argument("--dry-run", action="store_true", help="only log the keys of the objects that would be deleted")
    arguments = parser.parse_args()
    settings = load(OrphanCleanupSettings, "sweep")
    log = logs.setup("sweep", settings)
    archive = RawArchive(open_store(settings), settings.BUCKET_RAW)
    grace = timedelta(seconds=settings.SWEEP_GRACE_SECONDS)
    now = datetime.now(UTC)
    try:
        with postgres.connect(settings, "sweep") as connection:
            if arguments.dry_run:
                for key in orphans(connection, archive, now, grace):
                    log.info("orphan_found", key=key)
                return 0
            count = delete_orphans(connection, archive, now, grace)
    except (psycopg.Error, OSError, MinioException, HTTPError) as error:
        log.error("cleanup_failed", error=str(error).strip(), next="run the job again when the stores are reachable")
        return 1
    metrics.ORPHANS_DELETED.inc(count)
    log.info("cleanup_finished", deleted=count)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
