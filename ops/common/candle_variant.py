"""The variants of the consumer, and the images and profiles of each: python, spark, or both."""

from collections.abc import Collection, Iterable
from typing import Literal

Variant = Literal["python", "spark", "both"]

SPARK_IMAGE = "spark"
BI_IMAGE = "superset"
BI_PROFILE = "bi"  # of Compose, with the dashboard
AIRFLOW_IMAGE = "airflow"
AIRFLOW_PROFILE = "airflow"  # of Compose
ENGINE_PROXY_IMAGE = "engineproxy"  # of Airflow in Compose
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


def images(variant: Variant, names: Iterable[str], *, leave_out: Collection[str] = (ENGINE_PROXY_IMAGE,)) -> list[str]:
    """Return those of ``names`` that ``variant`` needs; by default those of a cluster, which has no engine proxy."""
    left_out = {*leave_out, *((SPARK_IMAGE,) if variant == "python" else ())}
    return [name for name in names if name not in left_out]
