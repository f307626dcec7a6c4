"""Real-Time Crypto Analytics Platform: live exchange trades become exact one-minute candles.

Follow a trade from the wire to the dashboard by reading the folders in this order:
``simulator`` or the exchange, ``binance``, ``producer``, ``consumer`` (with ``core`` and ``store``),
``backfill``, ``batch``, ``exporter``. ``runtime`` contains the modules that all services share.
"""

__version__ = "0.1.0"
