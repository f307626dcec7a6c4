"""The producer: the exchange's trade stream into Kafka, as received, and every hole in it repaired from REST."""
