"""The producer: the exchange's trade stream into Kafka, as received, and every gap in it repaired from REST."""
