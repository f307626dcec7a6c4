"""Exact sums of columns, of any size, with as much of the work in 64 bits as fits there.

numpy's integers wrap around silently. Here nothing is added up in 64 bits that could leave them: what could is added up
in Python's integers, which have no limit, and so are a few values, for speed.
"""

from operator import mul

from crypto_analytics.core.trades import Integers

_BITS = 63
_NARROWEST = 8  # bits of a limb, below which Python's integers are as fast
_FEW = 100  # values, below which they are faster


def total(values: Integers) -> int:
    """Return the sum of ``values``, none of them negative."""
    if len(values) < _FEW or _bound(values) >> _BITS:
        return sum(values.tolist())
    return int(values.sum())


def total_of_products(left: Integers, right: Integers) -> int:
    """Return the sum of ``left[i] * right[i]``; none of these is negative.

    A price times a quantity does not fit 64 bits. So ``left`` is cut into limbs, narrow enough that the products of one
    limb fit even added up.
    """
    if len(left) < _FEW or (width := _BITS - _bound(right).bit_length()) < _NARROWEST:
        return sum(map(mul, left.tolist(), right.tolist()))
    result, shift = 0, 0
    while left.any():
        result += int((left & ((1 << width) - 1)) @ right) << shift
        left = left >> width
        shift += width
    return result


def _bound(values: Integers) -> int:
    """Return a number that no sum of some of ``values`` exceeds."""
    return int(values.max(initial=0)) * len(values)
