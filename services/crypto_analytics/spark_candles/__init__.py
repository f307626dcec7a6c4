"""Variant B of the consumer: the same candles from Spark Structured Streaming."""
