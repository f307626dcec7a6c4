"""Parse many trades at once with numpy, if each is serialised exactly as the exchange's stream does.

The exchange serialises every trade alike: the same names in the same order without whitespace. Only digits, the symbol
and two booleans differ, so the offsets of commas and decimal points locate each number. A few numpy passes over the
joined bytes parse all of them in a fraction of the time that decoding and validating each value takes.

The parser accepts nothing else: every byte of a value is part of an expected text, a digit of a number, or a letter,
digit, _ or - of the symbol. Its result therefore equals that of a JSON parser, to the digit. For any other value,
valid or not, :func:`parse` returns None, and the caller uses :func:`.trade_decoder.decode_one`.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crypto_analytics.core.bytes_column import NEWLINE, BytesColumn
from crypto_analytics.core.decimals import MAX_SCALED, MAX_WHOLE_DIGITS, SCALE, UNIT
from crypto_analytics.core.trades import Booleans, Integers

Words = NDArray[np.uint64]

# One value, on one line:
#   {"e":"trade","E":1741046401271969,"s":"TRXUSDT","t":348656870,"p":"0.23120000","q":"2619.40000000",
#   "T":1741046401271497,"m":true,"M":true}
# Its delimiters are the newline before it, its commas, its decimal points and the newline after it, named after the
# field that follows or that contains the point. The last delimiter of a line is the first one of the next line.
_DELIMITERS = 11
_BEGIN, _EVENT, _SYMBOL, _ID, _PRICE, _PRICE_POINT, _QUANTITY, _QUANTITY_POINT, _TIME, _MAKER, _BEST = range(
    _DELIMITERS
)
_END = _DELIMITERS
# A bit mask finds every delimiter and some false positives; the bytes around each position are verified below.
_DELIMITER_BITS = np.uint8(0xFF ^ (ord("\n") ^ ord(",") | ord(".") ^ ord(",")))
_MAX_FIELD_BYTES = 16  # of a symbol or a number
_SYMBOL_TEXT = re.compile(r"[\w-]+")  # no quote, no escape, and no point, which would be taken for a decimal point
_PADDING = b" " * 32  # so that the bytes around the first and the last delimiter exist

# Texts are compared, and numbers are parsed, as little-endian 64-bit words of eight bytes.
_WORD = 8
_ZEROS = np.uint64(0x30_30_30_30_30_30_30_30)
_ABOVE_NINE = np.uint64(0x76_76_76_76_76_76_76_76)  # added to a byte above 9, it sets the byte's highest bit
_HIGHEST_BITS = np.uint64(0x80_80_80_80_80_80_80_80)
_FIRST_PAIRS = np.uint64(0x00_00_00_FF_00_00_00_FF)  # the first two of each four digits, once pairs are combined
_LAST_BYTES = np.array([(2**64 - 1) >> 8 * (8 - k) << 8 * (8 - k) for k in range(9)], np.uint64)
_POWERS = np.array([10**k for k in range(_MAX_FIELD_BYTES)], np.int64)


def _as_word(text: bytes) -> int:
    """Return up to eight bytes as a word, padded with zero bytes at the end."""
    return int.from_bytes(text, "little")


class _Pattern:
    """The bytes around one delimiter of every line, from ``offset`` bytes before it; a question mark is any byte."""

    WORDS = 4
    _MASK = bytes(0 if byte == ord("?") else 0xFF for byte in range(256))

    def __init__(self, offset: int, text: bytes) -> None:
        self.offset = offset
        self.expected: list[tuple[int, np.uint64, np.uint64]] = []  # number of a word, its bytes, and their mask
        for number in range(self.WORDS):
            part = text[number * _WORD :][:_WORD]
            mask = np.uint64(_as_word(part.translate(self._MASK)))
            if mask:
                self.expected.append((number, np.uint64(_as_word(part)), mask))


# The four words around a delimiter: two with the field before it, then the text after that field. (Before the first
# delimiter of a value there is no field.)
_ANY_FIELD = b"?" * _MAX_FIELD_BYTES
_HIGH, _LOW, _AFTER = range(3)
_PATTERNS = {
    _EVENT: _Pattern(16, b'???\n{"e":"trade","E":'),
    _SYMBOL: _Pattern(16, _ANY_FIELD + b',"s":"'),
    _ID: _Pattern(17, _ANY_FIELD + b'","t":'),
    _PRICE: _Pattern(16, _ANY_FIELD + b',"p":"'),
    _PRICE_POINT: _Pattern(16, _ANY_FIELD + b"."),
    _QUANTITY: _Pattern(17, _ANY_FIELD + b'","q":"'),
    _QUANTITY_POINT: _Pattern(16, _ANY_FIELD + b"."),
    _TIME: _Pattern(17, _ANY_FIELD + b'","T":'),
    _MAKER: _Pattern(16, _ANY_FIELD),
    _BEST: _Pattern(16, _ANY_FIELD),
    _END: _Pattern(16, _ANY_FIELD),
}

# The numbers: the delimiters before and after each, and how many bytes between the two are not digits of it.
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
_STOPS = [after for _, after, _ in _NUMBERS]
_NOT_DIGITS = np.array([[others] for *_, others in _NUMBERS])
_MAX_DIGITS = np.array([*[_MAX_FIELD_BYTES] * 3, MAX_WHOLE_DIGITS, SCALE, MAX_WHOLE_DIGITS, SCALE])
_JSON_INTEGERS = slice(0, 3)  # JSON forbids leading zeros in numbers; prices and quantities are strings
_SMALLEST = np.array([0, 0, *_POWERS[1:]])  # number without a leading zero, by its count of digits


class ParsedTrades(NamedTuple):
    """The fields of trades as columns in the order of the values; prices and quantities are scaled by 10^8.

    ``timestamps`` are as sent, in milliseconds or microseconds. ``symbols`` has one element per run of consecutive
    values with one symbol, and ``starts`` the position of the first value of that run.
    """

    ids: Integers
    prices: Integers
    quantities: Integers
    timestamps: Integers
    buyer_is_maker: Booleans
    symbols: list[str]
    starts: list[int]
    raws: BytesColumn


def parse(values: Sequence[bytes]) -> ParsedTrades | None:
    """Return the fields of ``values``, or None if any of them is not serialised as the exchange does.

    Some thousand values at once are fastest: their columns stay in the processor's cache.
    """
    if not values:
        return None
    lines = _Lines(values)
    try:
        return _parse(lines)
    except (_Mismatch, UnicodeDecodeError):
        return None


def _parse(lines: "_Lines") -> ParsedTrades:
    delimiters = lines.delimiters()
    around = {number: lines.around(delimiters[number], pattern) for number, pattern in _PATTERNS.items()}
    symbols, starts = lines.symbol_runs(around[_ID], delimiters[_SYMBOL] + len(b',"s":"'), delimiters[_ID] - len(b'"'))
    buyer_is_maker = _either(
        b',"m":true', b',"m":false', around[_MAKER], around[_BEST], delimiters[_BEST] - delimiters[_MAKER]
    )
    _either(b',"M":true}', b',"M":false}', around[_BEST], around[_END], delimiters[_END] - delimiters[_BEST])
    digits = delimiters[_STOPS] - delimiters[_STARTS] - _NOT_DIGITS
    _, ids, times, whole_price, price, whole_quantity, quantity = _numbers([around[stop] for stop in _STOPS], digits)
    *_, price_decimals, _, quantity_decimals = digits
    return ParsedTrades(
        ids.copy(),  # a view of one row would keep the array of all numbers alive
        _scaled(whole_price, price, price_decimals),
        _scaled(whole_quantity, quantity, quantity_decimals),
        times,
        buyer_is_maker,
        symbols,
        starts,
        lines.column(delimiters[_BEGIN] + 1, delimiters[_END].copy()),  # copied for the same reason
    )


def _either(this: bytes, other: bytes, around_start: Words, around_stop: Words, length: Integers) -> Booleans:
    """Return which lines have ``this`` as the ``length`` bytes between two delimiters, given the words around these.

    All other lines must have ``other``. Both texts have 8 to 16 bytes.
    """
    first, last = around_start[_AFTER], around_stop[_LOW]

    def holds(text: bytes) -> Booleans:
        same: Booleans = (first == _as_word(text[:_WORD])) & (last == _as_word(text[-_WORD:]))
        same &= length == len(text)
        return same

    found: Booleans = holds(this)
    _require((found | holds(other)).all())
    return found


def _numbers(around_stops: Sequence[Words], digits: Integers) -> Integers:
    """Return the numbers with these counts of ``digits``, a row for each entry of ``_NUMBERS``.

    ``around_stops`` are the words around the delimiter after each number.
    """
    most = digits.max(axis=1)
    _require(digits.min() >= 1 and (most <= _MAX_DIGITS).all())
    numbers = _eight_digits(np.array([words[_LOW] for words in around_stops]), digits)
    longer = np.flatnonzero(most > _WORD)
    if len(longer):
        high = np.array([around_stops[row][_HIGH] for row in longer.tolist()])
        numbers[longer] += 10**_WORD * _eight_digits(high, digits[longer] - _WORD)
    _require((numbers[_JSON_INTEGERS] >= _SMALLEST[digits[_JSON_INTEGERS]]).all())
    return numbers


def _eight_digits(words: Words, digits: Integers) -> Integers:
    """Return the numbers in the last ``digits`` bytes (0 to 8; more count as 8) of ``words``, which it overwrites."""
    words ^= _ZEROS
    words &= _LAST_BYTES.take(digits, mode="clip")
    _require(not (np.bitwise_or.reduce((words + _ABOVE_NINE) | words, axis=None) & _HIGHEST_BITS))
    # Combine digits into pairs, pairs into fours, and fours into one number of eight digits, all within one word.
    words = words * np.uint64(10) + (words >> np.uint64(8))
    first_pairs = words & _FIRST_PAIRS
    first_pairs *= np.uint64(100 + (1_000_000 << 32))
    words >>= np.uint64(16)
    words &= _FIRST_PAIRS
    words *= np.uint64(1 + (10_000 << 32))
    words += first_pairs
    words >>= np.uint64(32)
    numbers: Integers = words.view(np.int64)
    return numbers


def _scaled(whole: Integers, fraction: Integers, digits: Integers) -> Integers:
    """Return the decimals ``whole``.``fraction``, scaled by 10^8; ``digits`` is the length of each fraction."""
    _require(whole.max() < MAX_SCALED // UNIT)
    if digits.min() < SCALE:
        fraction = fraction * _POWERS[SCALE - digits]
    scaled: Integers = whole * UNIT + fraction
    return scaled


class _Mismatch(Exception):
    """A value is not serialised as the exchange does."""


class _Lines:
    """Values as the lines of one buffer. Arrays of offsets into it have one element per line.

    The methods raise _Mismatch if any line has other bytes at an offset than expected.
    """

    def __init__(self, values: Sequence[bytes]) -> None:
        self._count = len(values)
        self._buffer = NEWLINE.join([_PADDING, *values, _PADDING])
        size = _Pattern.WORDS * _WORD
        # A sliding window: one element of four words starts at each byte.
        self._windows = np.ndarray(len(self._buffer) - size + 1, f"V{size}", self._buffer, strides=(1,))

    def delimiters(self) -> Integers:
        """Return the offsets of each line's delimiters, a row for each delimiter."""
        found = np.flatnonzero(
            (np.frombuffer(self._buffer, np.uint8) & _DELIMITER_BITS) == NEWLINE[0] & _DELIMITER_BITS
        )
        _require(len(found) == self._count * _DELIMITERS + 1)
        delimiters = np.empty((_DELIMITERS + 1, self._count), np.int64)
        delimiters[:_END] = found[:-1].reshape(self._count, _DELIMITERS).T
        delimiters[_END] = found[_DELIMITERS::_DELIMITERS]
        return delimiters

    def around(self, delimiter: Integers, pattern: _Pattern) -> Words:
        """Return the words around ``delimiter``, a row for each word of ``pattern``, after comparing them with it."""
        words: Words = self._windows[delimiter - pattern.offset].view("<u8").reshape(-1, pattern.WORDS).T
        for number, text, mask in pattern.expected:
            _require(not (np.bitwise_or.reduce(words[number] ^ text) & mask))
        return words

    def column(self, starts: Integers, stops: Integers) -> BytesColumn:
        """Return the values between ``starts`` and ``stops``."""
        return BytesColumn([self._buffer], starts, stops)

    def symbol_runs(self, around_stop: Words, start: Integers, stop: Integers) -> tuple[list[str], list[int]]:
        """Return the symbol of each run of consecutive lines with one symbol, and the first line of each run.

        The symbols are between ``start`` and ``stop``; ``around_stop`` are the words around the delimiter after them.
        """
        length = stop - start
        _require(length.min() >= 1 and length.max() <= _MAX_FIELD_BYTES)
        low = around_stop[_LOW] & _LAST_BYTES.take(length, mode="clip")
        high = around_stop[_HIGH] & _LAST_BYTES.take(length - _WORD, mode="clip")
        # The lengths are compared too, because a zero byte of a symbol equals the zeros of the mask.
        differs = (low[1:] != low[:-1]) | (high[1:] != high[:-1]) | (length[1:] != length[:-1])
        changes = np.flatnonzero(differs) + 1
        starts = [0, *changes.tolist()]
        spans = zip(start[starts].tolist(), stop[starts].tolist(), strict=True)
        symbols = [self._buffer[first:last].decode() for first, last in spans]
        _require(all(map(_SYMBOL_TEXT.fullmatch, symbols)))
        return symbols, starts


def _require(condition: bool | np.bool_) -> None:
    if not condition:
        raise _Mismatch
