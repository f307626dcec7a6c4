"""The migration job: schema, roles and their passwords. It can run again and again."""
