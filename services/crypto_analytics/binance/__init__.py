"""The exchange: its wire formats, its rules, and clients for its WebSocket streams and its REST interface."""
