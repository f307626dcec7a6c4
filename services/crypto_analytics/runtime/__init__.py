"""What every service shares: settings, logs, metrics, health, retries, shutdown and Kafka clients."""
