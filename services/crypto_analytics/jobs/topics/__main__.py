"""Run ``python -m crypto_analytics.jobs.topics``: bring the broker's topics, users and rights to the declared state."""

from confluent_kafka import KafkaException

from crypto_analytics.jobs import declarations
from crypto_analytics.jobs.topics import access
from crypto_analytics.jobs.topics.broker import Broker, LoginRefused, NotReady
from crypto_analytics.jobs.topics.plan import Impossible, Replication
from crypto_analytics.jobs.topics.reconcile import bring_about
from crypto_analytics.jobs.topics.settings import TopicsSettings
from crypto_analytics.runtime import logs, shutdown
from crypto_analytics.runtime.retry import call_with_retries
from crypto_analytics.runtime.settings import command_line, load


def main() -> int:
    """Return 0 where the broker is as declared, 1 where it could not be brought there."""
    parser = command_line("jobs.topics", __doc__, TopicsSettings)
    parser.parse_args()
    settings = load(TopicsSettings, "topics")
    log = logs.setup("topics", settings)
    stop = shutdown.stop_event()
    replication = Replication(settings.KAFKA_REPLICATION_FACTOR, settings.KAFKA_MIN_INSYNC_REPLICAS)
    try:
        wanted = access.read(settings.ACCESS_FILE)
        wanted.check_names(settings)
        wanted.check_users(settings.KAFKA_SASL_USERNAME)
        passwords = declarations.passwords(settings, "KAFKA_PASSWORD_", [user.name for user in wanted.users])
        changes = call_with_retries(
            lambda: bring_about(wanted, replication, passwords, Broker(settings), log),
            retryable=NotReady,
            timeout_seconds=settings.TOPICS_WAIT_SECONDS,
            stop=stop,
            on_retry=lambda error: log.warning("waiting", cause=str(error), next="nothing; it is tried again"),
        )
    except declarations.BadDeclaration as error:
        log.error("failed", error=str(error), next="correct ACCESS_FILE or the settings, then run it again")
        return 1
    except LoginRefused as error:
        log.error("failed", error=str(error), next="correct KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD")
        return 1
    except Impossible as error:
        log.error("failed", error=str(error), next="nothing was changed; do what the error says, then run it again")
        return 1
    except (NotReady, KafkaException) as error:
        log.error("failed", error=str(error), next="mend the cause and run the same command again; it resumes")
        return 1
    log.info("done", changed=changes)
    return 0


if __name__ == "__main__":
    shutdown.end_process(main())
