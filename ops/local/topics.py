"""Create the topics of a run's broker, from the definition that all ways of running share."""

from msgspec.structs import replace

from crypto_analytics.jobs.declarations import InvalidDeclaration
from crypto_analytics.jobs.topics import access
from crypto_analytics.jobs.topics.broker import Broker
from crypto_analytics.jobs.topics.plan import Replication
from crypto_analytics.jobs.topics.reconcile import ensure_topics
from crypto_analytics.runtime.settings import KafkaSettings
from ops.common.errors import Problem
from ops.common.paths import ROOT

ACCESS_FILE = ROOT / "charts" / "kafka" / "files" / "access.yaml"


def ensure(settings: KafkaSettings) -> None:
    """Reconcile the broker's topics with the declaration.

    Raises:
        Problem: the settings name other topics than the file.
    """
    declared = access.read(ACCESS_FILE)
    try:
        declared.check_names(settings)
    except InvalidDeclaration as error:
        raise Problem("the topics do not agree", str(error), "unset KAFKA_TOPIC_*") from error
    ensure_topics(declared.topics, Replication(), Broker(settings))


def ensure_copies(settings: KafkaSettings) -> None:
    """Create topics as declared, but under the names that the settings give: for tests and benchmarks side by side."""
    names = {
        KafkaSettings.model_fields[name].default: getattr(settings, name)
        for name in ("KAFKA_TOPIC_TRADES", "KAFKA_TOPIC_DLQ", "KAFKA_TOPIC_CANDLES")
    }
    topics = [replace(topic, topic_name=names[topic.topic_name]) for topic in access.read(ACCESS_FILE).topics]
    ensure_topics(topics, Replication(), Broker(settings))
