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
PUSH_MESSAGES = Counter("push_messages", "Messages handed to clients' sockets, by transport", ["transport"])
PUSH_DROPPED = Counter("push_clients_dropped", "Clients dropped because they read too slowly", ["transport"])
PUSH_SECONDS = Histogram(
    "push_seconds",
    "Time from the arrival of a notification or of a trade to handing its message to a client's socket",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
PUSH_LISTENS = Gauge("push_listens", "1 while PostgreSQL notifies of changed candles; 0: they are only polled")
PUSH_TRADES_SKIPPED = Counter("push_trades_skipped", "Trades that were too old when they were read, and not sent")
