"""The job that brings a broker to its declared state: topics, users and rights. It can run again and again."""
