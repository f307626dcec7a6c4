"""Access to PostgreSQL (candles, id ranges, klines, symbols) and to the object store (raw archive, lake)."""
