"""The migration job: schema, roles, passwords, databases for Airflow and Superset. It can run again and again."""
