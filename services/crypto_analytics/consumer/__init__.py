"""Variant A of the consumer: trades from Kafka become raw objects and exact candles, in plain Python."""
