"""The dashboard of Kafka, PostgreSQL, the object store, and of the memory and disk of all."""

from ops.dev.grafana.panels import Dashboard, Limit, Panel, Query, Row

_STRIMZI = "only with Strimzi, whose operator reports its certificates"
_MINIO = "only with MinIO: versitygw has no metrics for Prometheus"

_KAFKA = Row(
    "Kafka",
    (
        Panel(
            "Partitions with too few replicas",
            "Partitions of which a replica is not in sync.",
            (Query("sum(kafka_server_replicamanager_underreplicatedpartitions)"),),
            limit=Limit(1, "kafka-under-replicated"),
            shape="number",
        ),
        Panel(
            "Partitions without a leader",
            "They can be neither read nor written.",
            (Query("sum(kafka_controller_kafkacontroller_offlinepartitionscount)"),),
            limit=Limit(1, "kafka-under-replicated"),
            shape="number",
        ),
        Panel(
            "Messages per second",
            "Messages written, by topic.",
            (
                Query(
                    'sum by (topic) (rate(kafka_server_brokertopicmetrics_messagesinpersec_total{topic!=""}[1m]))',
                    "{{topic}}",
                ),
            ),
            unit="ops",
            often_empty="a broker counts per topic from the first message after its start",
        ),
        Panel(
            "Bytes per second",
            "Bytes written to and read from all topics.",
            (
                Query('sum(rate(kafka_server_brokertopicmetrics_bytesinpersec_total{topic=""}[1m]))', "written"),
                Query('sum(rate(kafka_server_brokertopicmetrics_bytesoutpersec_total{topic=""}[1m]))', "read"),
            ),
            unit="Bps",
        ),
        Panel(
            "Size of the topics",
            "Bytes on disk, by topic, all replicas together.",
            (Query("sum by (topic) (kafka_log_log_size)", "{{topic}}"),),
            unit="bytes",
        ),
        Panel(
            "Java's heap",
            "Share of the broker's heap in use; it rises and falls with each collection.",
            (
                Query(
                    'max by (instance) (jvm_memory_used_bytes{job="kafka", area="heap"} '
                    '/ jvm_memory_max_bytes{job="kafka", area="heap"})',
                    "{{instance}}",
                ),
            ),
            unit="percentunit",
        ),
        Panel(
            "Certificates",
            "Time until each of Strimzi's certificate authorities ends; it renews them 30 days before.",
            (
                Query(
                    "min by (type) (strimzi_certificate_expiration_timestamp_ms) / 1000 - time()",
                    "{{type}}",
                ),
            ),
            unit="s",
            limit=Limit(20 * 86400, "certificate-expiring", below=True),
            often_empty=_STRIMZI,
        ),
    ),
)

_POSTGRES = Row(
    "PostgreSQL",
    (
        Panel(
            "Reachable",
            "1: the exporter can log in; 0: it cannot.",
            (Query('min(pg_up{job="postgres"})'),),
            limit=Limit(1, "store-away", below=True),
            shape="number",
        ),
        Panel(
            "Size",
            "Bytes of each database.",
            (Query('max by (datname) (pg_database_size_bytes{job="postgres"})', "{{datname}}"),),
            unit="bytes",
        ),
        Panel(
            "Transactions per second",
            "Transactions that were committed, by database.",
            (
                Query(
                    'sum by (datname) (rate(pg_stat_database_xact_commit{job="postgres", datname!=""}[1m]))',
                    "{{datname}}",
                ),
            ),
            unit="ops",
        ),
        Panel(
            "Connections",
            "Open connections, by state, and how many are allowed.",
            (
                Query('sum by (state) (pg_stat_activity_count{job="postgres"})', "{{state}}"),
                Query('max(pg_settings_max_connections{job="postgres"})', "allowed"),
            ),
        ),
    ),
)

_OBJECTS = Row(
    "Object store",
    (
        Panel(
            "Space",
            "Bytes that are free on MinIO's volume, and its size.",
            (
                Query('sum(minio_cluster_capacity_usable_free_bytes{job="minio"})', "free"),
                Query('sum(minio_cluster_capacity_usable_total_bytes{job="minio"})', "size"),
            ),
            unit="bytes",
            often_empty=_MINIO,
        ),
        Panel(
            "Requests",
            "S3 requests per second, by kind.",
            (Query('sum by (api) (rate(minio_s3_requests_total{job="minio"}[1m]))', "{{api}}"),),
            unit="reqps",
            often_empty=_MINIO,
        ),
    ),
)

_MACHINE = Row(
    "Memory and disk",
    (
        Panel(
            "Memory against the limit",
            "Share of each service's memory limit that is used; at 1 the kernel kills it.",
            (Query("max by (job) (memory_working_set_bytes / memory_limit_bytes)", "{{job}}"),),
            unit="percentunit",
            limit=Limit(0.9, "memory-near-limit"),
        ),
        Panel(
            "Memory of the services",
            "Memory that counts towards the limit, by service; for Kafka and the monitoring that of the process.",
            (
                Query("max by (job) (memory_working_set_bytes)", "{{job}}"),
                Query(
                    'max by (job) (process_resident_memory_bytes{job=~"kafka|prometheus|alertmanager|postgres"})',
                    "{{job}}",
                ),
            ),
            unit="bytes",
        ),
        Panel(
            "Free disk",
            "Share of the disk that is free, as the services see it: on kind and in Compose all volumes are on it.",
            (Query("min(disk_free_bytes / disk_size_bytes)", "free"),),
            unit="percentunit",
            limit=Limit(0.05, "disk-full", below=True),
        ),
        Panel(
            "Disk in a day",
            "Free bytes in a day by the trend of the last six hours; below 0 it is full by then.",
            (Query("min(predict_linear(disk_free_bytes[6h], 86400))", "free in a day"),),
            unit="bytes",
            limit=Limit(0, "disk-full", below=True),
        ),
    ),
)

DASHBOARD = Dashboard(
    "stores",
    "Crypto analytics: stores",
    "Shows Kafka, PostgreSQL and the object store, and how much memory and disk is left.",
    (_KAFKA, _POSTGRES, _OBJECTS, _MACHINE),
)
