"""The read API: the exchange's market-data protocol and ``/v1`` over PostgreSQL and the raw archive, read only."""
