"""Virtual environments, jars, and the checks before either; standard library only, as no environment exists yet."""
