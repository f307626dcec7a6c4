"""Many trades read at once, where each is written exactly as the exchange's stream writes it.

The exchange spells every trade alike: the same names in the same order and no space between. Only digits, the symbol
and two booleans differ, so the places of commas and points tell where each number is, and a few passes of numpy over
the joined bytes read all of them in a fraction of the time that it takes to decode and check each.

Nothing is read leniently: every byte of a value is either part of an expected text or a digit of a number. What is read
here is therefore what a JSON parser would have read, to the digit. Of anything else :func:`read` returns None,
however good it is, and the judge (:func:`.wire.decode_one`) looks at it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crypto_analytics.core.decimals import MAX_SCALED, SCALE, UNIT, WHOLE_DIGITS
from crypto_analytics.core.lines import NEWLINE, Lines
from crypto_analytics.core.trades import Booleans, Integers

# One value, in one line:
#   {"e":"trade","E":1741046401271969,"s":"TRXUSDT","t":348656870,"p":"0.23120000","q":"2619.40000000",
#   "T":1741046401271497,"m":true,"M":true}
# Its marks are the newline before it, its commas and its points, here by what they stand before or in.
_MARKS = 11
_BEGIN, _, _SYMBOL, _ID, _PRICE, _PRICE_POINT, _QUANTITY, _QUANTITY_POINT, _TIME, _MAKER, _BEST = range(_MARKS)
# One test of a few bits finds all marks, and some other bytes; but each place is compared with what must be there.
_ALIKE = np.uint8(0xFF ^ (ord("\n") ^ ord(",") | ord(".") ^ ord(",")))
_LONGEST = 16  # bytes of a symbol, digits of a number
_MARGIN = b" " * 32  # what a look before the first value or behind the last one may meet

# Texts are compared, and numbers are read, as 64-bit words of eight bytes. The first byte is the lowest of the word.
_WORD = 8
_ZEROS = np.uint64(0x30_30_30_30_30_30_30_30)
_ABOVE_NINE = np.uint64(0x76_76_76_76_76_76_76_76)  # added to a byte above 9, it sets the byte's highest bit
_HIGHEST_BITS = np.uint64(0x80_80_80_80_80_80_80_80)
_FOURS = np.uint64(0x00_00_00_FF_00_00_00_FF)
_LAST_BYTES = np.array([(2**64 - 1) >> 8 * (8 - k) << 8 * (8 - k) for k in range(9)], np.uint64)
_POWERS = np.array([10**k for k in range(SCALE + 1)], np.int64)


def _as_word(text: bytes) -> int:
    """Return up to eight bytes as a word, zeros behind them."""
    return int.from_bytes(text, "little")


class _Places:
    """Positions in each line, given as so many bytes from one of its marks."""

    def __init__(self, *places: tuple[int, int]) -> None:
        self._marks = np.array([mark for mark, _ in places])
        self._offsets = np.array([[offset] for _, offset in places])

    def of(self, marks: Integers) -> Integers:
        """Return the positions, a row for each place and an element for each line."""
        positions: Integers = marks[self._marks]
        positions += self._offsets
        return positions


class _Texts:
    """Texts that every line has, each so many bytes from one of its marks, cut into words."""

    def __init__(self, *texts: tuple[int, int, bytes]) -> None:
        pieces = [
            (mark, offset + at, text[at : at + _WORD])
            for mark, offset, text in texts
            for at in {*range(0, len(text) - _WORD, _WORD), max(len(text) - _WORD, 0)}
        ]
        self.places = _Places(*((mark, offset) for mark, offset, _ in pieces))
        self.words = np.array([[_as_word(piece)] for *_, piece in pieces], np.uint64)
        self.bytes_used = np.array([[_as_word(b"\xff" * len(piece))] for *_, piece in pieces], np.uint64)


_TEXTS = _Texts(
    (_BEGIN, 0, NEWLINE + b'{"e":"trade","E":'),
    (_SYMBOL, 0, b',"s":"'),
    (_ID, -1, b'","t":'),
    (_PRICE, 0, b',"p":"'),
    (_PRICE_POINT, 0, b"."),
    (_QUANTITY, -1, b'","q":"'),
    (_QUANTITY_POINT, 0, b"."),
    (_TIME, -1, b'","T":'),
)

# The digits of every number: event time, id and time, then price and quantity, each before and after its point.
_STARTS = _Places(
    (_BEGIN, 18), (_ID, 5), (_TIME, 5), (_PRICE, 6), (_PRICE_POINT, 1), (_QUANTITY, 6), (_QUANTITY_POINT, 1)
)
_STOPS = _Places(
    (_SYMBOL, 0), (_PRICE, 0), (_MAKER, 0), (_PRICE_POINT, 0), (_QUANTITY, -1), (_QUANTITY_POINT, 0), (_TIME, -1)
)
_MOST_DIGITS = np.array([_LONGEST, _LONGEST, _LONGEST, WHOLE_DIGITS, SCALE, WHOLE_DIGITS, SCALE])
_INTEGERS = slice(0, 3)  # in JSON these may not begin with a zero; the others are texts


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
    lines: Lines


def read(values: Sequence[bytes]) -> Read | None:
    """Return the fields of ``values``, or None where any of them is not written as the exchange writes trades.

    It is fastest with some thousand values, whose columns stay in the processor's cache.
    """
    if not values:
        return None
    text = _Text(values)
    try:
        return _read(text)
    except (_OtherLayout, UnicodeDecodeError):
        return None


def _read(text: "_Text") -> Read:
    marks, ends = text.marks()
    text.expect(_TEXTS, marks)
    symbols, starts = text.runs(marks[_SYMBOL] + 6, marks[_ID] - 1)
    buyer_is_maker = text.either(marks[_MAKER], marks[_BEST], b',"m":true', b',"m":false')
    text.either(marks[_BEST], ends, b',"M":true}', b',"M":false}')
    (_, ids, times, *wholes_and_fractions), decimals = text.numbers(_STARTS.of(marks), _STOPS.of(marks))
    whole_price, price, whole_quantity, quantity = wholes_and_fractions
    return Read(
        ids.copy(),  # a row would keep all numbers
        _scaled(whole_price, price, decimals[4]),
        _scaled(whole_quantity, quantity, decimals[6]),
        times,
        buyer_is_maker,
        symbols,
        starts,
        text.lines(marks[_BEGIN] + 1, ends),
    )


def _scaled(whole: Integers, fraction: Integers, digits: Integers) -> Integers:
    """Return the decimals with ``whole`` before and the ``digits`` of ``fraction`` behind the point, scaled by 10^8."""
    _require(whole.max() < MAX_SCALED // UNIT)
    if digits.min() < SCALE:
        fraction = fraction * _POWERS[SCALE - digits]
    scaled: Integers = whole * UNIT + fraction
    return scaled


class _OtherLayout(Exception):
    """A value is not written as the exchange writes trades."""


class _Text:
    """Values as the lines of one text. Positions in it are arrays with an element for each line.

    The methods raise _OtherLayout where any of the lines does not have at the position what they read.
    """

    def __init__(self, values: Sequence[bytes]) -> None:
        self._lines = len(values)
        self._text = NEWLINE.join([_MARGIN, *values, _MARGIN])
        self._bytes = np.frombuffer(self._text, np.uint8)
        self._words = np.ndarray(len(self._text) - _WORD + 1, "<u8", self._text, strides=(1,))  # one at each byte

    def marks(self) -> tuple[Integers, Integers]:
        """Return the positions of each line's marks, a row for each mark, and of the newline behind each line."""
        found = np.flatnonzero((self._bytes & _ALIKE) == NEWLINE[0] & _ALIKE)
        _require(len(found) == self._lines * _MARKS + 1)
        marks: Integers = np.ascontiguousarray(found[:-1].reshape(self._lines, _MARKS).T)
        return marks, found[_MARKS::_MARKS].copy()  # a view would keep all that was found

    def lines(self, starts: Integers, stops: Integers) -> Lines:
        """Return the lines between ``starts`` and ``stops``."""
        return Lines([self._text], starts, stops)

    def expect(self, texts: _Texts, marks: Integers) -> None:
        """Require ``texts`` in every line."""
        words = self._words[texts.places.of(marks)]
        words ^= texts.words
        words &= texts.bytes_used
        _require(not words.any())

    def either(self, start: Integers, stop: Integers, this: bytes, other: bytes) -> Booleans:
        """Return where ``this`` is between ``start`` and ``stop``; require ``other`` elsewhere. Both: 8 to 16 bytes."""
        first, last, length = self._words[start], self._words[stop - _WORD], stop - start

        def holds(text: bytes) -> Booleans:
            same: Booleans = (first == _as_word(text[:_WORD])) & (last == _as_word(text[-_WORD:]))
            same &= length == len(text)
            return same

        found: Booleans = holds(this)
        _require((found | holds(other)).all())
        return found

    def runs(self, start: Integers, stop: Integers) -> tuple[list[str], list[int]]:
        """Return the symbol between ``start`` and ``stop`` of each run of lines with one symbol, and its first line."""
        length = stop - start
        _require(length.min() >= 1 and length.max() <= _LONGEST)
        last = self._words[stop - _WORD] & _LAST_BYTES.take(length, mode="clip")
        first = self._words[stop - 2 * _WORD] & _LAST_BYTES.take(length - _WORD, mode="clip")
        # Where the words are cut off is zero, as a byte of a symbol may be: the lengths tell the two apart.
        differs = (last[1:] != last[:-1]) | (first[1:] != first[:-1]) | (length[1:] != length[:-1])
        changes = np.flatnonzero(differs) + 1
        starts = [0, *changes.tolist()]
        symbols = [self._text[a:b].decode() for a, b in zip(start[starts].tolist(), stop[starts].tolist(), strict=True)]
        _require(all(map(str.isalnum, symbols)))  # no quote, no escape
        return symbols, starts

    def numbers(self, starts: Integers, stops: Integers) -> tuple[Integers, Integers]:
        """Return the numbers between ``starts`` and ``stops``, a row for each of a line, and how long they are."""
        digits = stops - starts
        most = digits.max(axis=1)
        _require(digits.min() >= 1 and (most <= _MOST_DIGITS).all())
        leading = self._bytes[starts[_INTEGERS]]
        _require(((leading != ord("0")) | (digits[_INTEGERS] == 1)).all())
        numbers = self._eight_digits(stops, digits)
        longer = np.flatnonzero(most > _WORD)
        if len(longer):
            numbers[longer] += 10**_WORD * self._eight_digits(stops[longer] - _WORD, digits[longer] - _WORD)
        return numbers, digits

    def _eight_digits(self, stop: Integers, digits: Integers) -> Integers:
        """Return the numbers in the last ``digits`` bytes before ``stop``: at most 8 of them; 0 for none."""
        word = self._words[stop - _WORD]
        word ^= _ZEROS
        word &= _LAST_BYTES.take(digits, mode="clip")
        _require(not (np.bitwise_or.reduce((word + _ABOVE_NINE) | word, axis=None) & _HIGHEST_BITS))
        # Neighbours become numbers of two digits, these of four, these of eight, all in one word.
        word = word * np.uint64(10) + (word >> np.uint64(8))
        ones_and_hundreds = word & _FOURS
        ones_and_hundreds *= np.uint64(100 + (1_000_000 << 32))
        word >>= np.uint64(16)
        word &= _FOURS
        word *= np.uint64(1 + (10_000 << 32))
        word += ones_and_hundreds
        word >>= np.uint64(32)
        numbers: Integers = word.view(np.int64)
        return numbers


def _require(condition: bool | np.bool_) -> None:
    if not condition:
        raise _OtherLayout
