"""Where results are kept: PostgreSQL (schema, candles, id ranges) and the object store (raw archive, lake)."""
