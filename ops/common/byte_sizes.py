"""Sizes in bytes: units, and the quantities in which Kubernetes and Docker write them."""

MIB = 1024**2
GIB = 1024**3
_UNITS = {"Ki": 1024, "Mi": MIB, "Gi": GIB, "K": 1000, "k": 1000, "M": 1000**2, "G": 1000**3}


def quantity(text: str) -> int:
    """Return the bytes of a Kubernetes quantity ("384Mi")."""
    for unit, size in _UNITS.items():
        if text.endswith(unit):
            return int(float(text.removesuffix(unit)) * size)
    return int(float(text))
