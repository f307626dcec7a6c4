"""The batch: backfill, silver, quality gate, gold and lake as steps in order, all defined in ``steps``."""
