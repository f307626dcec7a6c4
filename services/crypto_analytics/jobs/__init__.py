"""Jobs that reconcile servers to their declared state: migrate, topics, buckets and orphan cleanup."""
