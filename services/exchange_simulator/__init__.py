"""A test double of the exchange: its WebSocket and REST, from a seed or from a recording, with faults on demand."""

__version__ = "0.1.0"
