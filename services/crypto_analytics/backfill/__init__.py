"""The backfill: copy the official closed klines of the last days from the exchange into ``raw_klines``."""
