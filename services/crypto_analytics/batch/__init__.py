"""The batch: klines, silver, the quality gate, gold and the lake, step by step. ``steps`` is its one definition."""
