"""The local run: real Kafka, real PostgreSQL and the services as child processes of one supervisor, no Docker."""
