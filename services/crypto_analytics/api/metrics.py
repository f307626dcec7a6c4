"""Metrics of the API, and the state of the platform that no process of its own reports.

Money in a metric is a float, as all values of Prometheus are: it is for alerts and graphs, and nothing reads it back.
"""

from prometheus_client import Counter, Gauge, Histogram

# api
REQUESTS = Counter("api_requests", "Requests answered, by endpoint and HTTP status", ["endpoint", "status"])
REQUEST_SECONDS = Histogram(
    "api_request_seconds",
    "Time to answer a request, by endpoint",
    ["endpoint"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

# pushed data
PUSH_CLIENTS = Gauge("push_clients", "Clients that are connected, by transport", ["transport"])
PUSH_MESSAGES = Counter("push_messages", "Messages to clients, each counted once for each client", ["transport"])
PUSH_DROPPED = Counter("push_clients_dropped", "Clients dropped because they read too slowly", ["transport"])
PUSH_SECONDS = Histogram(
    "push_seconds",
    "Time from the arrival of a notification or of a trade until its message is written to the last client",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
PUSH_QUERIES = Counter("push_queries", "Queries of the change feed, which are as many for one client as for all")
PUSH_LISTENS = Gauge("push_listens", "1 while PostgreSQL notifies of changed candles; 0: they are only polled")
PUSH_TRADES_SKIPPED = Counter("push_trades_skipped", "Trades that were not sent because they were read too late")
PUSH_TRADES_ERRORS = Counter(
    "push_trades_errors", "Errors while trades are read from Kafka; the log has each kind once"
)

# state of the platform, read from PostgreSQL
BATCH_LAST_SUCCESS = Gauge(
    "batch_last_success_timestamp_seconds",
    "Time at which a batch last built gold, after the quality gate had passed; NaN before the first one",
)
GATE_LAST_RUN = Gauge(
    "gate_last_run_timestamp_seconds", "Time of the last run of the quality gate; NaN before the first one"
)
GATE_SUCCEEDED = Gauge(
    "gate_last_run_succeeded", "1 if all expectations held in the last run of the quality gate, else 0; NaN before one"
)
CANDLES_TODAY = Gauge("candles_today", "Realtime candles of the closed minutes of this UTC day", ["symbol"])
CANDLES_TODAY_COMPLETE = Gauge(
    "candles_today_complete", "Those of candles_today of which every trade is known", ["symbol"]
)
GAPS_OPEN = Gauge("gaps_open", "Runs of trade ids that are missing between merged ones", ["symbol"])
RECONCILIATION_CANDLES = Gauge(
    "reconciliation_candles",
    "Minutes by the result of their comparison with the official klines: equal, different, official_only, "
    "realtime_only or incomplete",
    ["result"],
)
NEWEST_TRADE_AGE = Gauge(
    "newest_trade_age_seconds",
    "Seconds since a trade last changed a candle of the symbol, by PostgreSQL's time",
    ["symbol"],
)
NEWEST_CANDLE_CHANGE = Gauge(
    "newest_candle_change_timestamp_seconds", "Time at which a candle of the symbol last changed", ["symbol"]
)
STATE_AGE = Gauge(
    "platform_state_timestamp_seconds", "Time at which the metrics of this part were last read from PostgreSQL"
)

# market
LAST_PRICE = Gauge("market_last_price", "Price of the newest trade", ["symbol"])
VOLUME_1M = Gauge("market_volume_1m", "Volume of the last closed minute, in the base asset", ["symbol"])
QUOTE_VOLUME_1M = Gauge("market_quote_volume_1m", "Volume of the last closed minute, in the quote asset", ["symbol"])
TRADE_COUNT_1M = Gauge("market_trade_count_1m", "Trades of the last closed minute", ["symbol"])
LARGEST_TRADE = Gauge(
    "market_largest_trade_quote",
    "Price x quantity of the largest trade archived in the last minute; 0 without one",
    ["symbol"],
)
