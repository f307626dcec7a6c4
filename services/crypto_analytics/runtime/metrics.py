"""All Prometheus metrics of the services. Both variants of the consumer use the same names.

Names follow https://prometheus.io/docs/practices/naming/: base units are suffixes, and the client library appends
``_total`` to the names of counters. Each comment is the title of a section of docs/reference/metrics.md.
"""

from prometheus_client import Counter, Gauge, Histogram

from crypto_analytics.runtime import container

# every service
MEMORY_LIMIT = Gauge("memory_limit_bytes", "Memory limit of the service's container; NaN without one")
MEMORY_LIMIT.set_function(container.memory_limit)
MEMORY_WORKING_SET = Gauge(
    "memory_working_set_bytes", "Memory of the service's container that counts towards the limit; NaN while unknown"
)
MEMORY_WORKING_SET.set_function(container.memory_working_set)
DISK_SIZE = Gauge("disk_size_bytes", "Size of the machine's file system that holds the container's files")
DISK_SIZE.set_function(container.disk_size)
DISK_FREE = Gauge("disk_free_bytes", "Free space of the machine's file system that holds the container's files")
DISK_FREE.set_function(container.disk_free)

# producer
FRAMES_RECEIVED = Counter("frames_received", "WebSocket frames received from the exchange")
FRAMES_IGNORED = Counter("frames_ignored", "Frames that are not trades and need no handling, by kind", ["kind"])
TRADES_PRODUCED = Counter("trades_produced", "Trades produced to Kafka, by source", ["source"])
RECONNECTS = Counter("stream_reconnects", "Stream connections opened after the first one, by cause", ["cause"])
GAPS_FOUND = Counter("gaps_found", "Gaps (ranges of missing trade ids) found by the producer")
GAPS_REPAIRED = Counter("gaps_repaired", "Gaps filled with trades from REST")
TRADES_REPAIRED = Counter("trades_repaired", "Trade ids fetched from REST to fill gaps")
SYMBOLS_LIVE = Gauge("symbols_live", "Symbols that are connected and caught up with the exchange")
SYMBOLS_NOT_TRADING = Gauge(
    "symbols_not_trading",
    "1 for each followed symbol that is not trading at the exchange, by status",
    ["symbol", "status"],
)
IDS_MISSING = Gauge("trade_ids_missing", "Trade ids in open gaps: known to be missing and not fetched yet", ["symbol"])
GAP_OPEN_SECONDS = Gauge(
    "gap_open_seconds", "Seconds since the symbol last had no open gap; 0 while it has none", ["symbol"]
)
IDS_VERIFIED_ABSENT = Counter("trade_ids_verified_absent", "Missing trade ids that the exchange never issued")
IDS_REFUSED = Counter("trade_ids_refused", "Missing trade ids whose trades are invalid, each dead-lettered once")
REST_WEIGHT = Gauge("rest_weight_used", "Request weight used in the current minute, as counted by the exchange")
TRADE_TO_KAFKA = Histogram(
    "trade_to_kafka_seconds",
    "Latency from the time of the trade to Kafka's acknowledgement",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)

# consumer
TRADES_CONSUMED = Counter("trades_consumed", "Records read from the trades topic")
TRADES_MERGED = Counter("trades_merged", "Trade ids merged into candles")
TRADES_DEDUPLICATED = Counter("trades_deduplicated", "Records dropped because their trade ids were already merged")
TRADES_ARCHIVED = Counter("trades_archived", "Records written to the raw archive")
BATCHES = Counter("batches_merged", "Batches merged and committed")
BATCH_SECONDS = Histogram(
    "batch_duration_seconds",
    "Time from the start of a batch's merge to its commit",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
BATCH_RETRIES = Counter("batch_retries", "Retries of batches after an error of PostgreSQL or the object store")
TRADE_TO_VISIBLE = Histogram(
    "trade_to_visible_seconds",
    "Latency from the oldest trade of each symbol in a batch to its visible candle: an upper bound for other trades",
    buckets=(0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 5, 10, 60, 600),
)
LAG_TRADES = Gauge(
    "consumer_lag_trades",
    "Records in the assigned partitions of the trades topic that are not merged yet: for each partition its end offset "
    "minus the offset after the last merged record, or minus the committed offset before the first merge; "
    "NaN while the end offsets are unknown",
)
LAG_SECONDS = Gauge(
    "consumer_lag_seconds",
    "Age of the oldest of the trades that are next to be merged in their partitions; 0 if none is waiting",
)
END_OFFSETS_AGE = Gauge(
    "consumer_end_offsets_age_seconds",
    "Seconds since Kafka last returned the end offsets, which are requested every second: "
    "the age of consumer_lag_trades and consumer_lag_seconds",
)
OFFSET_COMMITS_FAILED = Counter("offset_commits_failed", "Offset commits that Kafka rejected, by error", ["error"])

# consumer, from Spark's progress reports
SPARK_INPUT_ROWS = Gauge("spark_input_rows_per_second", "Records that arrived per second before the last micro-batch")
SPARK_PROCESSED_ROWS = Gauge(
    "spark_processed_rows_per_second", "Records that the last micro-batch processed per second"
)
SPARK_LAST_PROGRESS = Gauge(
    "spark_last_progress_timestamp_seconds", "Time of Spark's last progress report, with or without a micro-batch"
)

# producer and consumer
DEAD_LETTERS = Counter("dead_letters", "Records sent to the dead-letter topic", ["reason"])

# publisher
CANDLES_PUBLISHED = Counter("candles_published", "Changed candles that Kafka acknowledged")
PUBLISH_LAG = Gauge(
    "candle_publish_lag_seconds",
    "Age of the oldest changed candle that Kafka has not acknowledged, or, while a server is unreachable, "
    "seconds since then; 0 if none is waiting",
)

# backfill, exporter, orphan cleanup
KLINES_WRITTEN = Counter("klines_written", "Official klines inserted or updated")
ORPHANS_DELETED = Counter("orphan_objects_deleted", "Raw objects deleted because no transaction listed them")
PARTITIONS_EXPORTED = Counter(
    "partitions_exported", "Partitions written to the lake (days of candles, hours of trades), by table", ["table"]
)
