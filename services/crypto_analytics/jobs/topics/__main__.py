"""Run ``python -m crypto_analytics.jobs.topics``: reconcile the broker's topics, users and permissions."""

from collections.abc import Mapping

from confluent_kafka import KafkaException

from crypto_analytics.jobs import declarations, reconciliation
from crypto_analytics.jobs.topics import access
from crypto_analytics.jobs.topics.broker import Broker
from crypto_analytics.jobs.topics.plan import Replication
from crypto_analytics.jobs.topics.reconcile import reconcile
from crypto_analytics.jobs.topics.settings import TopicsSettings
from crypto_analytics.runtime import logs, shutdown
from crypto_analytics.runtime.settings import command_line, load


def main() -> int:
    """Return 0 where the broker is as declared, 1 where the job failed."""
    parser = command_line("jobs.topics", __doc__, TopicsSettings)
    parser.parse_args()
    settings = load(TopicsSettings, "topics")
    log = logs.setup("topics", settings)
    stop = shutdown.stop_event()
    replication = Replication(settings.KAFKA_REPLICATION_FACTOR, settings.KAFKA_MIN_INSYNC_REPLICAS)

    def read_declaration() -> tuple[access.Access, Mapping[str, str]]:
        declared = access.read(settings.ACCESS_FILE)
        declared.check_names(settings)
        declared.check_users(settings.KAFKA_SASL_USERNAME)
        return declared, declarations.passwords(settings, "KAFKA_PASSWORD_", [user.name for user in declared.users])

    def reconcile_once(declaration: tuple[access.Access, Mapping[str, str]]) -> int:
        declared, passwords = declaration
        return reconcile(declared, replication, passwords, Broker(settings), log)

    return reconciliation.run(
        read_declaration,
        reconcile_once,
        wait_seconds=settings.TOPICS_WAIT_SECONDS,
        server_errors=(KafkaException,),
        login_settings="KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD",
        stop=stop,
        log=log,
    )


if __name__ == "__main__":
    shutdown.end_process(main())
