"""Sizes in bytes as Kubernetes and Docker write them, and durations as the tables show them."""

MIB = 1024**2
GIB = 1024**3
_UNITS = {"Ki": 1024, "Mi": MIB, "Gi": GIB, "K": 1000, "k": 1000, "M": 1000**2, "G": 1000**3}


def quantity(text: str) -> int:
    """Return the bytes of a quantity as Kubernetes writes it ("384Mi")."""
    for unit, size in _UNITS.items():
        if text.endswith(unit):
            return int(float(text.removesuffix(unit)) * size)
    return int(float(text))


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
