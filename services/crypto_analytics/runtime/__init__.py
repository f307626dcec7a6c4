"""Shared by all services: settings, logs, metrics, health, retries, shutdown and Kafka clients."""
