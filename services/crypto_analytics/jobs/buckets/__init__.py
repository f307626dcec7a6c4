"""The job that reconciles MinIO with its declared buckets, users and permissions. It is idempotent."""
