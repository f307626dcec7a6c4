"""The lake: silver and gold as Parquet by symbol and day, and the raw trades compacted by hour."""
