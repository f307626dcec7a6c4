"""The variants of the consumer, and the components and profiles of each: python, spark, or both."""

from typing import Literal

Variant = Literal["python", "spark", "both"]

BI_PROFILE = "bi"  # of Compose, with the dashboard
AIRFLOW_PROFILE = "airflow"  # of Compose
MONITORING_PROFILE = "monitoring"  # of Compose
# The components that merge trades in each variant, by their names in the cluster and in Compose.
MERGERS: dict[Variant, tuple[str, ...]] = {
    "python": ("consumer",),
    "spark": ("spark-candles",),
    "both": ("consumer", "spark-candles"),
}
# Compose's profiles, separated by commas.
PROFILES: dict[Variant, str] = {"python": "stream", "spark": "spark", "both": "stream,spark"}


def replaced_by(variant: Variant) -> tuple[str, ...]:
    """Return the merging components that are not part of ``variant`` and are removed for it."""
    return tuple(name for name in MERGERS["both"] if name not in MERGERS[variant])
