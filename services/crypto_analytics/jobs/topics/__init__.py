"""The job that reconciles a Kafka broker with its declared topics, users and permissions (ACLs). It is idempotent."""
