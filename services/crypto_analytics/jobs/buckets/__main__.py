"""Run ``python -m crypto_analytics.jobs.buckets``: reconcile an S3 server's buckets, users and permissions."""

from collections.abc import Mapping

from minio.error import MinioAdminException, MinioException
from msgspec.structs import replace
from structlog.stdlib import BoundLogger

from crypto_analytics.jobs import declarations, reconciliation
from crypto_analytics.jobs.buckets import access
from crypto_analytics.jobs.buckets.minio_server import MinioServer
from crypto_analytics.jobs.buckets.plan import plan
from crypto_analytics.jobs.buckets.s3_server import S3Server
from crypto_analytics.jobs.buckets.settings import BucketsSettings
from crypto_analytics.jobs.buckets.versitygw_server import VersitygwServer
from crypto_analytics.runtime import logs, shutdown
from crypto_analytics.runtime.settings import command_line, load

SERVERS: Mapping[str, type[S3Server]] = {"minio": MinioServer, "versitygw": VersitygwServer}


def main() -> int:
    """Return 0 where the server is as declared, 1 where the job failed."""
    parser = command_line("jobs.buckets", __doc__, BucketsSettings)
    parser.parse_args()
    settings = load(BucketsSettings, "buckets")
    log = logs.setup("buckets", settings)
    stop = shutdown.stop_event()

    def read_declaration() -> tuple[access.Access, Mapping[str, str]]:
        declared = access.read(settings.ACCESS_FILE)
        if not settings.ANONYMOUS_READ:
            declared = replace(declared, anonymous=())
        declared.check_names(settings)
        declared.check_users(settings.S3_ACCESS_KEY)
        return declared, declarations.passwords(settings, "S3_SECRET_KEY_", [user.name for user in declared.users])

    return reconciliation.run(
        read_declaration,
        lambda declaration: reconcile(*declaration, SERVERS[settings.OBJECT_STORE_SERVER](settings), log),
        wait_seconds=settings.BUCKETS_WAIT_SECONDS,
        server_errors=(MinioException, MinioAdminException),
        login_settings="S3_ACCESS_KEY and S3_SECRET_KEY to those of the root user",
        stop=stop,
        log=log,
    )


def reconcile(declared: access.Access, passwords: Mapping[str, str], server: S3Server, log: BoundLogger) -> int:
    """Reconcile the server with the declaration and return the number of changes. Raises the errors of ``server``."""
    changes = plan(declared, server.state(passwords))
    return reconciliation.apply_changes(changes, lambda change: server.apply(change, passwords), log)


if __name__ == "__main__":
    raise SystemExit(main())
