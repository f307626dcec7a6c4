"""Virtual environments, jars and the checks before them: the standard library alone, for a Python without packages."""
