"""The platform in Docker Compose: the project, its passwords, its batch."""
