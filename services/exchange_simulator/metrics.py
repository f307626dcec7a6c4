"""The simulator's Prometheus metrics."""

from prometheus_client import Counter, Gauge

TRADES_STREAMED = Counter(
    "simulator_trades_streamed", "Trades of the market or recording that were streamed, each counted once"
)
FRAMES_SENT = Counter("simulator_frames_sent", "Frames queued for connections")
CONNECTIONS = Gauge("simulator_connections", "Open stream connections")
REST_REQUESTS = Counter("simulator_rest_requests", "REST requests answered, by path and status", ["path", "status"])
FAULTS = Counter("simulator_faults", "Scripted faults that occurred, by type", ["type"])
