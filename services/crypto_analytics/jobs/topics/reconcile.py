"""Look, plan, and do: all of what is declared, or the topics alone."""

from collections.abc import Collection, Mapping

from structlog.stdlib import BoundLogger

from crypto_analytics.jobs.topics.access import Access, Topic
from crypto_analytics.jobs.topics.broker import Broker, NotReady
from crypto_analytics.jobs.topics.plan import Action, Replication, plan_topics, plan_users


def bring_about(
    access: Access, replication: Replication, passwords: Mapping[str, str], broker: Broker, log: BoundLogger
) -> int:
    """Bring the broker to the declared state and return how much had to change; nothing does where all is planned.

    Raises:
        NotReady: the brokers are not all there, or went away meanwhile; what was done stays.
        LoginRefused: the administrator's password is wrong.
        Impossible: it would take something away that Kafka does not give up; nothing was changed.
        KafkaException: the broker refuses.
    """
    _wait_for_all(broker, replication)
    actions = [
        *plan_topics(access.topics, broker.topics(topic.topic_name for topic in access.topics), replication),
        *plan_users(
            access,
            without_login=broker.without_login(passwords),
            existing=broker.rights([user.name for user in access.users]),
        ),
    ]
    _carry_out(actions, broker, passwords, log)
    return len(actions)


def ensure_topics(topics: Collection[Topic], replication: Replication, broker: Broker) -> list[Action]:
    """Bring the topics alone to the declared state, as on a broker without logins; return what was done.

    Raises what :func:`bring_about` raises.
    """
    _wait_for_all(broker, replication)
    actions = plan_topics(topics, broker.topics(topic.topic_name for topic in topics), replication)
    for action in actions:
        broker.carry_out(action, {})
    return actions


def _wait_for_all(broker: Broker, replication: Replication) -> None:
    there = broker.brokers()
    if there < replication.factor:
        raise NotReady(f"{there} of at least {replication.factor} brokers are there (KAFKA_REPLICATION_FACTOR)")


def _carry_out(actions: list[Action], broker: Broker, passwords: Mapping[str, str], log: BoundLogger) -> None:
    for action in actions:
        broker.carry_out(action, passwords)
        log.info("changed", what=str(action))
