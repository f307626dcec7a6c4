"""Binance: wire formats, rate limits, errors, and clients of the WebSocket streams and the REST interface.

No setting chooses another exchange; docs/map.md has what a second one would touch.
"""
