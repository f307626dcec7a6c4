"""The job that reconciles an S3 server with its declared buckets, users and permissions. It is idempotent."""
