"""Run ``python -m crypto_analytics.jobs.buckets``: bring MinIO's buckets, users and rights to the declared state."""

from collections.abc import Mapping

from minio.error import MinioAdminException, MinioException
from msgspec.structs import replace
from structlog.stdlib import BoundLogger

from crypto_analytics.jobs import declarations
from crypto_analytics.jobs.buckets import access
from crypto_analytics.jobs.buckets.minio_server import LoginRefused, NotReady, Server
from crypto_analytics.jobs.buckets.plan import plan
from crypto_analytics.jobs.buckets.settings import BucketsSettings
from crypto_analytics.runtime import logs, shutdown
from crypto_analytics.runtime.retry import call_with_retries
from crypto_analytics.runtime.settings import command_line, load


def main() -> int:
    """Return 0 where MinIO is as declared, 1 where it could not be brought there."""
    parser = command_line("jobs.buckets", __doc__, BucketsSettings)
    parser.parse_args()
    settings = load(BucketsSettings, "buckets")
    log = logs.setup("buckets", settings)
    stop = shutdown.stop_event()
    try:
        wanted = access.read(settings.ACCESS_FILE)
        if not settings.ANONYMOUS_READ:
            wanted = replace(wanted, anonymous=())
        wanted.check_names(settings)
        wanted.check_users(settings.S3_ACCESS_KEY)
        passwords = declarations.passwords(settings, "S3_SECRET_KEY_", [user.name for user in wanted.users])
        changes = call_with_retries(
            lambda: bring_about(wanted, passwords, Server(settings), log),
            retryable=NotReady,
            timeout_seconds=settings.BUCKETS_WAIT_SECONDS,
            stop=stop,
            on_retry=lambda error: log.warning("waiting", cause=str(error), next="nothing; it is tried again"),
        )
    except declarations.BadDeclaration as error:
        log.error("failed", error=str(error), next="correct ACCESS_FILE or the settings, then run it again")
        return 1
    except LoginRefused as error:
        log.error("failed", error=str(error), next="correct S3_ACCESS_KEY and S3_SECRET_KEY: MinIO's root user")
        return 1
    except (NotReady, MinioException, MinioAdminException) as error:
        log.error("failed", error=str(error), next="mend the cause and run the same command again; it resumes")
        return 1
    log.info("done", changed=changes)
    return 0


def bring_about(wanted: access.Access, passwords: Mapping[str, str], server: Server, log: BoundLogger) -> int:
    """Bring MinIO to the declared state and return how much had to change. Raises what ``Server`` raises."""
    changes = list(plan(wanted, server.look(passwords)))
    for change in changes:
        server.carry_out(change, passwords)
        log.info("changed", what=str(change))
    return len(changes)


if __name__ == "__main__":
    raise SystemExit(main())
