"""The tooling behind the targets of make, in rooms. import-linter checks which room imports which (pyproject.toml)."""
