"""Sizes in bytes and CPUs as Kubernetes and Docker write them, and durations as the tables show them."""

from decimal import Decimal

MIB = 1024**2
GIB = 1024**3
_UNITS = {"Ki": 1024, "Mi": MIB, "Gi": GIB, "K": 1000, "k": 1000, "M": 1000**2, "G": 1000**3}


def quantity(text: str) -> int:
    """Return the bytes of a quantity as Kubernetes writes it ("384Mi")."""
    for unit, size in _UNITS.items():
        if text.endswith(unit):
            return int(float(text.removesuffix(unit)) * size)
    return int(float(text))


def millicores(cpu: str | float) -> int:
    """Return the millicores of a CPU quantity as Kubernetes writes it ("50m", "1", 0.5)."""
    text = str(cpu)
    return int(text.removesuffix("m")) if text.endswith("m") else int(Decimal(text) * 1000)


def duration(count: float) -> str:
    """Return a duration as 42s, 3m07s, 5h12m or 3d04h."""
    whole = int(count)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"
