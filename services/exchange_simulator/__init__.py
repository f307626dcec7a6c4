"""A server that speaks the exchange's WebSocket and REST, from a seed or from a recording, with faults on demand."""
