"""Convert decimal strings to integers scaled by 10^8, the precision of the exchange's fixed-point numbers, and back.

Prices and quantities are decimal strings on the wire and never pass through a float. A product of the two is scaled by
10^16 and does not fit 64 bits: see :mod:`.exact_sums`.
"""

import re

SCALE = 8
UNIT = 10**SCALE
PRODUCT_SCALE = 2 * SCALE

# The exchange computes with signed 64-bit integers of 10^-8: its largest LOT_SIZE.maxQty is 92233720368.54775807.
MAX_SCALED = 2**63 - 1

MAX_WHOLE_DIGITS = 11  # before the decimal point

_DECIMAL = re.compile(rf"([0-9]{{1,{MAX_WHOLE_DIGITS}}})(?:\.([0-9]{{1,{SCALE}}}))?")


def parse_scaled(text: str) -> int:
    """Return the non-negative decimal ``text`` scaled by 10^8.

    Raises:
        ValueError: ``text`` is not a plain decimal (no sign, no exponent), has more than 8 decimals,
            or its scaled value does not fit a signed 64-bit integer.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a plain decimal of at most 11 digits before and 8 after the point")
    whole, fraction = match.groups(default="")
    value = int(whole + fraction.ljust(SCALE, "0"))
    if value > MAX_SCALED:
        raise ValueError(f"{text!r} is beyond the exchange's 64-bit range")
    return value


def format_scaled(value: int, scale: int = SCALE) -> str:
    """Return ``value`` / 10^``scale`` as a plain decimal string with exactly ``scale`` decimals."""
    sign = "-" if value < 0 else ""
    digits = str(abs(value)).rjust(scale + 1, "0")
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}" if scale else f"{sign}{digits}"
