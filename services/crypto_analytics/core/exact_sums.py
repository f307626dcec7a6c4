"""Exact sums of integer columns.

numpy's 64-bit integers wrap around silently. Sums that could overflow 64 bits use Python integers, and so do sums of
few values, for which they are faster.
"""

from operator import mul

from crypto_analytics.core.trades import Integers

_BITS = 63
_NARROWEST_LIMB = 8  # bits; below that, Python integers are as fast
_FEW_VALUES = 100  # below that, Python integers are faster


def exact_sum(values: Integers) -> int:
    """Return the sum of ``values``, none of which is negative."""
    if len(values) < _FEW_VALUES or _upper_bound(values) >> _BITS:
        return sum(values.tolist())
    return int(values.sum())


def exact_sum_of_products(left: Integers, right: Integers) -> int:
    """Return the sum of ``left[i] * right[i]``; no element is negative.

    A price times a quantity does not fit 64 bits. ``left`` is therefore split into limbs that are narrow enough for
    the sum of all products of one limb to fit.
    """
    if len(left) < _FEW_VALUES or (width := _BITS - _upper_bound(right).bit_length()) < _NARROWEST_LIMB:
        return sum(map(mul, left.tolist(), right.tolist()))
    result, shift = 0, 0
    while left.any():
        result += int((left & ((1 << width) - 1)) @ right) << shift
        left = left >> width
        shift += width
    return result


def _upper_bound(values: Integers) -> int:
    """Return an upper bound of the sum of any subset of ``values``."""
    return int(values.max(initial=0)) * len(values)
