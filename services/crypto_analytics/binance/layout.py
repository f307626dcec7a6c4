"""Many trades read at once, where each is written exactly as the exchange's stream writes it.

The exchange spells every trade alike: the same names in the same order and no space between. Only digits, the symbol
and two booleans differ, so the places of commas and points tell where each number is, and a few passes of numpy over
the joined bytes read all of them in a fraction of the time that it takes to decode and check each.

Nothing is read leniently: every byte of a value is part of an expected text, a digit of a number, or a letter, digit, _
or - of the symbol. What is read here is therefore what a JSON parser would have read, to the digit. Of anything else
:func:`read` returns None, however good it is, and the judge (:func:`.wire.decode_one`) looks at it.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crypto_analytics.core.decimals import MAX_SCALED, SCALE, UNIT, WHOLE_DIGITS
from crypto_analytics.core.lines import NEWLINE, Lines
from crypto_analytics.core.trades import Booleans, Integers

Words = NDArray[np.uint64]

# One value, in one line:
#   {"e":"trade","E":1741046401271969,"s":"TRXUSDT","t":348656870,"p":"0.23120000","q":"2619.40000000",
#   "T":1741046401271497,"m":true,"M":true}
# Its marks are the newline before it, its commas, its points and the newline behind it, here by what they stand before
# or in. The last mark of a line is the first one of the next.
_MARKS = 11
_BEGIN, _EVENT, _SYMBOL, _ID, _PRICE, _PRICE_POINT, _QUANTITY, _QUANTITY_POINT, _TIME, _MAKER, _BEST = range(_MARKS)
_END = _MARKS
# One test of a few bits finds all marks, and some other bytes; but each place is compared with what must be there.
_ALIKE = np.uint8(0xFF ^ (ord("\n") ^ ord(",") | ord(".") ^ ord(",")))
_LONGEST = 16  # bytes of a symbol, digits of a number
_SYMBOL_TEXT = re.compile(r"[\w-]+")  # no quote, no escape; a point would be taken for that of a number
_MARGIN = b" " * 32  # what a look around the first mark or the last one may meet

# Texts are compared, and numbers are read, as 64-bit words of eight bytes. The first byte is the lowest of the word.
_WORD = 8
_ZEROS = np.uint64(0x30_30_30_30_30_30_30_30)
_ABOVE_NINE = np.uint64(0x76_76_76_76_76_76_76_76)  # added to a byte above 9, it sets the byte's highest bit
_HIGHEST_BITS = np.uint64(0x80_80_80_80_80_80_80_80)
_FOURS = np.uint64(0x00_00_00_FF_00_00_00_FF)
_LAST_BYTES = np.array([(2**64 - 1) >> 8 * (8 - k) << 8 * (8 - k) for k in range(9)], np.uint64)
_POWERS = np.array([10**k for k in range(_LONGEST)], np.int64)


def _as_word(text: bytes) -> int:
    """Return up to eight bytes as a word, zeros behind them."""
    return int.from_bytes(text, "little")


class _Window:
    """What every line has around a mark, from so many bytes ``before`` it on; a question mark stands for any byte."""

    WORDS = 4
    _USED = bytes(0 if byte == ord("?") else 0xFF for byte in range(256))

    def __init__(self, before: int, text: bytes) -> None:
        self.before = before
        self.texts: list[tuple[int, np.uint64, np.uint64]] = []  # number of the word, its bytes, and which these are
        for number in range(self.WORDS):
            piece = text[number * _WORD :][:_WORD]
            used = np.uint64(_as_word(piece.translate(self._USED)))
            if used:
                self.texts.append((number, np.uint64(_as_word(piece)), used))


# One look at each mark: it shows the field before it, in two words, and the text behind that field. (At the first one
# there is no field.)
_FIELD = b"?" * _LONGEST
_HIGH, _LOW, _BEHIND = range(3)
_WINDOWS = {
    _EVENT: _Window(16, b'???\n{"e":"trade","E":'),
    _SYMBOL: _Window(16, _FIELD + b',"s":"'),
    _ID: _Window(17, _FIELD + b'","t":'),
    _PRICE: _Window(16, _FIELD + b',"p":"'),
    _PRICE_POINT: _Window(16, _FIELD + b"."),
    _QUANTITY: _Window(17, _FIELD + b'","q":"'),
    _QUANTITY_POINT: _Window(16, _FIELD + b"."),
    _TIME: _Window(17, _FIELD + b'","T":'),
    _MAKER: _Window(16, _FIELD),
    _BEST: _Window(16, _FIELD),
    _END: _Window(16, _FIELD),
}

# The numbers: the mark before each and the one behind it, and how many bytes between the two are none of its digits.
_NUMBERS = (
    (_EVENT, _SYMBOL, len(b',"E":')),
    (_ID, _PRICE, len(b',"t":')),
    (_TIME, _MAKER, len(b',"T":')),
    (_PRICE, _PRICE_POINT, len(b',"p":"')),
    (_PRICE_POINT, _QUANTITY, len(b'."')),
    (_QUANTITY, _QUANTITY_POINT, len(b',"q":"')),
    (_QUANTITY_POINT, _TIME, len(b'."')),
)
_STARTS = [before for before, _, _ in _NUMBERS]
_STOPS = [behind for _, behind, _ in _NUMBERS]
_NOT_DIGITS = np.array([[others] for *_, others in _NUMBERS])
_MOST_DIGITS = np.array([_LONGEST, _LONGEST, _LONGEST, WHOLE_DIGITS, SCALE, WHOLE_DIGITS, SCALE])
_INTEGERS = slice(0, 3)  # in JSON these may not begin with a zero; the others are texts
_SMALLEST = np.array([0, 0, *_POWERS[1:]])  # of so many digits


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
    marks = text.marks()
    around = {mark: text.around(marks[mark], window) for mark, window in _WINDOWS.items()}
    symbols, starts = text.runs(around[_ID], marks[_SYMBOL] + len(b',"s":"'), marks[_ID] - len(b'"'))
    buyer_is_maker = _either(b',"m":true', b',"m":false', around[_MAKER], around[_BEST], marks[_BEST] - marks[_MAKER])
    _either(b',"M":true}', b',"M":false}', around[_BEST], around[_END], marks[_END] - marks[_BEST])
    digits = marks[_STOPS] - marks[_STARTS] - _NOT_DIGITS
    _, ids, times, whole_price, price, whole_quantity, quantity = _numbers([around[mark] for mark in _STOPS], digits)
    *_, price_decimals, _, quantity_decimals = digits
    return Read(
        ids.copy(),  # a row would keep all numbers
        _scaled(whole_price, price, price_decimals),
        _scaled(whole_quantity, quantity, quantity_decimals),
        times,
        buyer_is_maker,
        symbols,
        starts,
        text.lines(marks[_BEGIN] + 1, marks[_END].copy()),  # a row would keep all marks
    )


def _either(this: bytes, other: bytes, around_start: Words, around_stop: Words, length: Integers) -> Booleans:
    """Return where ``this`` is in the ``length`` bytes between two marks, given the words around these.

    Require ``other`` elsewhere. Both have 8 to 16 bytes.
    """
    first, last = around_start[_BEHIND], around_stop[_LOW]

    def holds(text: bytes) -> Booleans:
        same: Booleans = (first == _as_word(text[:_WORD])) & (last == _as_word(text[-_WORD:]))
        same &= length == len(text)
        return same

    found: Booleans = holds(this)
    _require((found | holds(other)).all())
    return found


def _numbers(around_stops: Sequence[Words], digits: Integers) -> Integers:
    """Return the numbers of so many ``digits``, a row for each of a line, given the words around where they stop."""
    most = digits.max(axis=1)
    _require(digits.min() >= 1 and (most <= _MOST_DIGITS).all())
    numbers = _eight_digits(np.array([words[_LOW] for words in around_stops]), digits)
    longer = np.flatnonzero(most > _WORD)
    if len(longer):
        high = np.array([around_stops[row][_HIGH] for row in longer.tolist()])
        numbers[longer] += 10**_WORD * _eight_digits(high, digits[longer] - _WORD)
    _require((numbers[_INTEGERS] >= _SMALLEST[digits[_INTEGERS]]).all())
    return numbers


def _eight_digits(words: Words, digits: Integers) -> Integers:
    """Return the numbers in the last ``digits`` bytes of ``words``, which it changes: at most 8 of them; 0 for none."""
    words ^= _ZEROS
    words &= _LAST_BYTES.take(digits, mode="clip")
    _require(not (np.bitwise_or.reduce((words + _ABOVE_NINE) | words, axis=None) & _HIGHEST_BITS))
    # Neighbours become numbers of two digits, these of four, these of eight, all in one word.
    words = words * np.uint64(10) + (words >> np.uint64(8))
    ones_and_hundreds = words & _FOURS
    ones_and_hundreds *= np.uint64(100 + (1_000_000 << 32))
    words >>= np.uint64(16)
    words &= _FOURS
    words *= np.uint64(1 + (10_000 << 32))
    words += ones_and_hundreds
    words >>= np.uint64(32)
    numbers: Integers = words.view(np.int64)
    return numbers


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
        size = _Window.WORDS * _WORD
        self._windows = np.ndarray(len(self._text) - size + 1, f"V{size}", self._text, strides=(1,))  # one at each byte

    def marks(self) -> Integers:
        """Return the positions of each line's marks, a row for each mark."""
        found = np.flatnonzero((np.frombuffer(self._text, np.uint8) & _ALIKE) == NEWLINE[0] & _ALIKE)
        _require(len(found) == self._lines * _MARKS + 1)
        marks = np.empty((_MARKS + 1, self._lines), np.int64)
        marks[:_END] = found[:-1].reshape(self._lines, _MARKS).T
        marks[_END] = found[_MARKS::_MARKS]
        return marks

    def around(self, mark: Integers, window: _Window) -> Words:
        """Return the words around ``mark``, a row for each word of ``window``; require its texts."""
        words: Words = self._windows[mark - window.before].view("<u8").reshape(-1, window.WORDS).T
        for number, text, used in window.texts:
            _require(not (np.bitwise_or.reduce(words[number] ^ text) & used))
        return words

    def lines(self, starts: Integers, stops: Integers) -> Lines:
        """Return the lines between ``starts`` and ``stops``."""
        return Lines([self._text], starts, stops)

    def runs(self, around_stop: Words, start: Integers, stop: Integers) -> tuple[list[str], list[int]]:
        """Return the symbol between ``start`` and ``stop`` of each run of lines with one symbol, and its first line."""
        length = stop - start
        _require(length.min() >= 1 and length.max() <= _LONGEST)
        low = around_stop[_LOW] & _LAST_BYTES.take(length, mode="clip")
        high = around_stop[_HIGH] & _LAST_BYTES.take(length - _WORD, mode="clip")
        # Where the words are cut off is zero, as a byte of a symbol may be: the lengths tell the two apart.
        differs = (low[1:] != low[:-1]) | (high[1:] != high[:-1]) | (length[1:] != length[:-1])
        changes = np.flatnonzero(differs) + 1
        starts = [0, *changes.tolist()]
        symbols = [self._text[a:b].decode() for a, b in zip(start[starts].tolist(), stop[starts].tolist(), strict=True)]
        _require(all(map(_SYMBOL_TEXT.fullmatch, symbols)))
        return symbols, starts


def _require(condition: bool | np.bool_) -> None:
    if not condition:
        raise _OtherLayout
