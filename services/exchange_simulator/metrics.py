"""The simulator's Prometheus metrics."""

from prometheus_client import Counter, Gauge

TRADES_STREAMED = Counter("sim_trades_streamed", "Trades of the play streamed, each once")
FRAMES_SENT = Counter("sim_frames_sent", "Frames handed to connections")
CONNECTIONS = Gauge("sim_connections", "Open stream connections")
REST_REQUESTS = Counter("sim_rest_requests", "REST requests answered", ["path", "status"])
FAULTS = Counter("sim_faults", "Scripted faults that happened", ["type"])
