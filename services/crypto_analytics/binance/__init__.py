"""Binance: wire formats, rate limits, errors, and clients of the WebSocket streams and the REST interface."""
