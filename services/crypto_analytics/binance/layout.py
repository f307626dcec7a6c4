"""Many trades read at once, where each is written exactly as the exchange's stream writes it.

The exchange spells every trade alike: the same names in the same order and no space between. Only digits, the symbol
and two booleans differ, so the places of commas and points tell where each number is, and a few passes of numpy over
the joined bytes read all of them in less than half the time that it takes to decode and check each.

Nothing is read leniently: every byte of a value is either part of an expected text or a digit of a number. What is read
here is therefore what a JSON parser would have read, to the digit. Of anything else :func:`read` returns None,
however good it is, and the judge (:func:`.wire.decode_one`) looks at it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crypto_analytics.core.decimals import MAX_SCALED, SCALE, UNIT, WHOLE_DIGITS
from crypto_analytics.core.trades import Booleans, Integers

# One value, in one line:
#   {"e":"trade","E":1741046401271969,"s":"TRXUSDT","t":348656870,"p":"0.23120000","q":"2619.40000000",
#   "T":1741046401271497,"m":true,"M":true}
_MARKS = 11  # its commas and points, and the form feed before it
_FORM_FEED = (
    b"\x0c"  # stands in no JSON, and differs from a comma and a point in two bits only: one test finds all three
)
_ALIKE = np.uint8(0xFF ^ ord(".") ^ ord("\x0c"))
_LONGEST = 16  # bytes of a symbol, digits of a number
_MARGIN = b" " * 32  # what a look before the first value or behind the last one may meet

# Numbers are read eight digits at a time, as the 64-bit word of the eight bytes before their end.
# The first of these bytes is the lowest of the word.
_WORD = 8
_ZEROS = np.uint64(0x30_30_30_30_30_30_30_30)
_ABOVE_NINE = np.uint64(0x76_76_76_76_76_76_76_76)  # added to a byte above 9, it sets the byte's highest bit
_HIGHEST_BITS = np.uint64(0x80_80_80_80_80_80_80_80)
_FOURS = np.uint64(0x00_00_00_FF_00_00_00_FF)
_LAST_BYTES = np.array([(2**64 - 1) >> 8 * (8 - k) << 8 * (8 - k) for k in range(9)], np.uint64)
_POWERS = np.array([10**k for k in range(_LONGEST)], np.int64)


class Read(NamedTuple):
    """The fields of trades in the order of the values; prices and quantities are scaled by 10^8.

    ``timestamps`` are as sent, in milliseconds or microseconds. ``symbols`` has one element for each run of values
    with one symbol, and ``starts`` the position where that run begins.
    """

    ids: Integers
    prices: Integers
    quantities: Integers
    timestamps: Integers
    buyer_is_maker: Booleans
    symbols: list[str]
    starts: list[int]


def read(values: Sequence[bytes]) -> Read | None:
    """Return the fields of ``values``, or None where any of them is not written as the exchange writes trades."""
    if not values:
        return None
    text = _Text(values)
    try:
        return _read(text)
    except (_OtherLayout, UnicodeDecodeError):
        return None


def _read(text: "_Text") -> Read:
    begin, _, symbol, trade_id, price, price_point, quantity, quantity_point, time, maker, best = text.marks()
    text.expect(begin, _FORM_FEED + b'{"e":"trade","E":')
    text.integers(begin + 18, symbol)
    text.expect(symbol, b',"s":"')
    symbols, starts = text.runs(symbol + 6, trade_id - 1)
    text.expect(trade_id - 1, b'","t":')
    ids = text.integers(trade_id + 5, price)
    text.expect(price, b',"p":"')
    prices = text.decimals(price + 6, price_point, quantity - 1)
    text.expect(quantity - 1, b'","q":"')
    quantities = text.decimals(quantity + 6, quantity_point, time - 1)
    text.expect(time - 1, b'","T":')
    timestamps = text.integers(time + 5, maker)
    # The last texts end in marks themselves, so nothing can stand between them and what follows.
    buyer_is_maker = text.either(maker, b',"m":true,', b',"m":false,')
    text.either(best, b',"M":true}' + _FORM_FEED, b',"M":false}' + _FORM_FEED)
    return Read(ids, prices, quantities, timestamps, buyer_is_maker, symbols, starts)


class _OtherLayout(Exception):
    """A value is not written as the exchange writes trades."""


class _Text:
    """Values as the lines of one text. Positions in it are arrays with an element for each value.

    The methods raise _OtherLayout where any of the lines does not have at the position what they read.
    """

    def __init__(self, values: Sequence[bytes]) -> None:
        self._lines = len(values)
        self._text = _FORM_FEED.join([_MARGIN, *values, _MARGIN])
        self._bytes = np.frombuffer(self._text, np.uint8)
        self._words = np.ndarray(len(self._text) - _WORD + 1, "<u8", self._text, strides=(1,))  # one at each byte

    def marks(self) -> list[Integers]:
        """Return where each line's leading form feed is, and then its commas and points in their order."""
        found = np.flatnonzero((self._bytes & _ALIKE) == _FORM_FEED[0])
        _require(len(found) == self._lines * _MARKS + 1)
        return list(np.ascontiguousarray(found[:-1].reshape(self._lines, _MARKS).T))

    def expect(self, at: Integers, expected: bytes) -> None:
        """Require ``expected`` at every position ``at``."""
        _require(self._has(at, expected).all())

    def either(self, at: Integers, this: bytes, other: bytes) -> Booleans:
        """Return where ``this`` is, and require ``other`` everywhere else."""
        found = self._has(at, this)
        _require((found | self._has(at, other)).all())
        return found

    def _has(self, at: Integers, expected: bytes) -> Booleans:
        size = len(expected)
        windows = np.ndarray(len(self._text) - size + 1, f"S{size}", self._text, strides=(1,))
        found: Booleans = windows[at] == expected
        return found

    def runs(self, start: Integers, stop: Integers) -> tuple[list[str], list[int]]:
        """Return the symbol between ``start`` and ``stop`` of each run of lines with one symbol, and its first line."""
        length = stop - start
        _require(length.min() >= 1 and length.max() <= _LONGEST)
        last = self._words[stop - 8] & _LAST_BYTES[np.minimum(length, 8)]
        first = self._words[stop - 16] & _LAST_BYTES[np.maximum(length - 8, 0)]
        # Where the words are cut off is zero, as a byte of a symbol may be: the lengths tell the two apart.
        differs = (last[1:] != last[:-1]) | (first[1:] != first[:-1]) | (length[1:] != length[:-1])
        changes = np.flatnonzero(differs) + 1
        starts = [0, *changes.tolist()]
        symbols = [self._text[a:b].decode() for a, b in zip(start[starts].tolist(), stop[starts].tolist(), strict=True)]
        _require(all(map(str.isalnum, symbols)))  # no quote, no escape
        return symbols, starts

    def integers(self, start: Integers, stop: Integers) -> Integers:
        """Return the JSON integers, of 1 to 16 digits and without leading zeros, between ``start`` and ``stop``."""
        numbers = self._digits(start, stop)
        _require((numbers >= _POWERS[stop - start - 1]).all())
        return numbers

    def decimals(self, start: Integers, point: Integers, stop: Integers) -> Integers:
        """Return the decimals between ``start`` and ``stop``, of at most 8 digits behind ``point``, scaled by 10^8."""
        _require((self._bytes[point] == ord(".")).all())
        whole = self._digits(start, point)
        decimals = stop - point - 1
        _require((point - start).max() <= WHOLE_DIGITS and decimals.max() <= SCALE)
        _require(whole.max() < MAX_SCALED // UNIT)
        scaled: Integers = whole * UNIT + self._digits(point + 1, stop) * _POWERS[SCALE - decimals]
        return scaled

    def _digits(self, start: Integers, stop: Integers) -> Integers:
        """Return the numbers of 1 to 16 digits between ``start`` and ``stop``."""
        length = stop - start
        shortest, longest = length.min(), length.max()
        _require(shortest >= 1 and longest <= _LONGEST)
        numbers: Integers = self._eight_digits(stop, length if shortest < _WORD else None)
        if longest > _WORD:
            numbers += 10**_WORD * self._eight_digits(stop - _WORD, length - _WORD)
        return numbers

    def _eight_digits(self, stop: Integers, length: Integers | None) -> Integers:
        """Return the number in the last 8 bytes before ``stop``, or in the last ``length`` of them."""
        word = self._words[stop - _WORD] ^ _ZEROS
        if length is not None:
            word &= _LAST_BYTES[np.minimum(np.maximum(length, 0), _WORD)]
        _require(not (((word + _ABOVE_NINE) | word) & _HIGHEST_BITS).any())
        # Neighbours become numbers of two digits, these of four, these of eight, all in one word.
        word = word * np.uint64(10) + (word >> np.uint64(8))
        ones_and_hundreds = (word & _FOURS) * np.uint64(100 + (1_000_000 << 32))
        tens = ((word >> np.uint64(16)) & _FOURS) * np.uint64(1 + (10_000 << 32))
        numbers: Integers = ((ones_and_hundreds + tens) >> np.uint64(32)).view(np.int64)
        return numbers


def _require(condition: bool | np.bool_) -> None:
    if not condition:
        raise _OtherLayout
