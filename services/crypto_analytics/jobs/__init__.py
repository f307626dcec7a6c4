"""Jobs that reconcile servers with their declared state: migrate, topics, buckets and orphan cleanup."""
