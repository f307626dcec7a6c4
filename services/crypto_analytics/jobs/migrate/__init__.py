"""The job that migrates the database to the newest schema and sets the roles' passwords. It is idempotent."""
