"""The job that brings the database to the newest schema and sets the roles' passwords. It is idempotent."""
