"""The job that brings a MinIO to its declared state: buckets, users and rights. It can run again and again."""
