"""All Prometheus metrics of the services, in one place. Both variants of the consumer use the same names."""

from prometheus_client import Counter, Gauge, Histogram

# producer
FRAMES_RECEIVED = Counter("frames_received", "WebSocket frames received from the exchange")
FRAMES_IGNORED = Counter("frames_ignored", "Frames that are no trade by design, by kind", ["kind"])
TRADES_PRODUCED = Counter("trades_produced", "Trades handed to Kafka", ["source"])
RECONNECTS = Counter("stream_reconnects", "Stream connections opened after the first, by cause", ["cause"])
GAPS_FOUND = Counter("gaps_found", "Runs of missing trade ids noticed by the producer")
GAPS_REPAIRED = Counter("gaps_repaired", "Runs of missing trade ids closed from REST")
TRADES_REPAIRED = Counter("trades_repaired", "Trade ids fetched from REST to close gaps")
SYMBOLS_LIVE = Gauge("symbols_live", "Symbols that stream: connected, and caught up with the exchange")
SYMBOLS_NOT_TRADING = Gauge(
    "symbols_not_trading", "1 for each followed symbol that the exchange does not trade", ["symbol", "status"]
)
GAP_TRADES_OPEN = Gauge("gap_trades_open", "Trade ids known to be missing and not fetched yet", ["symbol"])
GAP_OPEN_SECONDS = Gauge("gap_open_seconds", "Seconds since a symbol last had no gap; 0: it has none now", ["symbol"])
IDS_VERIFIED_ABSENT = Counter("trade_ids_verified_absent", "Missing trade ids that the exchange never issued")
IDS_REFUSED = Counter("trade_ids_refused", "Missing trade ids whose trades are no good, each dead-lettered once")
REST_WEIGHT = Gauge("rest_weight_used", "Request weight used in the exchange's current minute")
EXCHANGE_TO_KAFKA = Histogram(
    "trade_to_kafka_seconds",
    "From trade time to Kafka's acknowledgement",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)

# consumer
TRADES_CONSUMED = Counter("trades_consumed", "Records read from the trades topic")
TRADES_MERGED = Counter("trades_merged", "Trade ids merged into candles for the first time")
TRADES_DUPLICATE = Counter("trades_duplicate", "Records dropped because their ids are merged already")
TRADES_ARCHIVED = Counter("trades_archived", "Records written to listed raw objects")
BATCHES = Counter("batches_merged", "Batches committed")
BATCH_SECONDS = Histogram(
    "batch_seconds", "Time from handing over a batch to its commit", buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
)
BATCH_RETRIES = Counter("batch_retries", "Batches tried again because a store was away")
TRADE_TO_VISIBLE = Histogram(
    "trade_to_visible_seconds",
    "From the time of the oldest trade of a symbol's batch to its visible row: an upper bound for the others",
    buckets=(0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 5, 10, 60, 600),
)
LAG_TRADES = Gauge(
    "consumer_lag_trades",
    "Records in the assigned partitions of the trades topic that are not merged yet: for each partition its end less "
    "the offset after the last merged record, or less the committed offset before the first merge; "
    "NaN where Kafka has not said yet",
)
LAG_SECONDS = Gauge(
    "consumer_lag_seconds",
    "Age of the oldest of the trades that are the next ones to be merged in their partitions; 0 where none waits",
)
LAG_ANSWER_AGE = Gauge(
    "consumer_lag_answer_age_seconds",
    "Seconds since Kafka last said where the partitions end, which it is asked every second: "
    "how old consumer_lag_trades and consumer_lag_seconds may be",
)
COMMITS_FAILED = Counter("commits_failed", "Commits of offsets that Kafka did not take, by its error", ["error"])

# consumer, as Spark tells of it
INPUT_ROWS = Gauge("input_rows_per_second", "Records that arrived for the last micro-batch, per second")
PROCESSED_ROWS = Gauge("processed_rows_per_second", "Records that the last micro-batch merged, per second of its work")
LAST_PROGRESS = Gauge("last_progress_timestamp_seconds", "When Spark last told of a micro-batch, or of having none")

# both
DEAD_LETTERS = Counter("dead_letters", "Records sent to the dead-letter topic", ["reason"])

# backfill, exporter, sweep
KLINES_WRITTEN = Counter("klines_written", "Official klines inserted or corrected")
OBJECTS_SWEPT = Counter("objects_swept", "Unlisted raw objects removed")
PARTITIONS_EXPORTED = Counter("partitions_exported", "Days written to the lake", ["table"])
