"""The job that deletes orphaned raw objects, which no transaction lists. It can run at any time and is never urgent."""
