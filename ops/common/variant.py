"""Which of the two makes the candles, and what belongs to it: the consumer (python), Spark's job (spark), or both."""

from collections.abc import Iterable
from typing import Literal

Variant = Literal["python", "spark", "both"]

SPARK_IMAGE = "spark"
BI_IMAGE = "superset"
BI_PROFILE = "bi"  # Compose's, for the dashboard
# The component that merges trades in each variant, by what it is called in the cluster and in Compose.
MERGERS: dict[Variant, tuple[str, ...]] = {
    "python": ("consumer",),
    "spark": ("spark-candles",),
    "both": ("consumer", "spark-candles"),
}
# Compose's profiles, as `--profile` takes them.
PROFILES: dict[Variant, str] = {"python": "stream", "spark": "spark", "both": "stream,spark"}


def replaced_by(variant: Variant) -> tuple[str, ...]:
    """Return the components that are not part of ``variant`` and make way for it."""
    return tuple(name for name in MERGERS["both"] if name not in MERGERS[variant])


def images(variant: Variant, names: Iterable[str], *, bi: bool = True) -> list[str]:
    """Return those of ``names`` that ``variant`` needs, with the dashboard's or without: the two largest images."""
    left_out = {SPARK_IMAGE} if variant == "python" else set()
    if not bi:
        left_out.add(BI_IMAGE)
    return [name for name in names if name not in left_out]
