"""The backfill: the exchange's official closed klines of the last days into ``raw_klines``."""
