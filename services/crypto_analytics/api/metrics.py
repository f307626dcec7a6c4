"""Metrics of the API, and the state of the platform that no process of its own reports.

Money in a metric is a float, as all values of Prometheus are: it is for alerts and graphs, and nothing reads it back.
"""

from prometheus_client import Counter, Histogram

# api
REQUESTS = Counter("api_requests", "Requests answered, by endpoint and HTTP status", ["endpoint", "status"])
REQUEST_SECONDS = Histogram(
    "api_request_seconds",
    "Time to answer a request, by endpoint",
    ["endpoint"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
