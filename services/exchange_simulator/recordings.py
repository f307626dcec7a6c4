"""Reading recorded market data: the exchange's archives (csv, or one in a zip) and recorded streams (tsv).

Layouts, told apart by their columns (https://github.com/binance/binance-public-data):

- ``trades``: id, price, qty, quoteQty, time, isBuyerMaker, isBestMatch
- ``aggTrades``: id, price, qty, first id, last id, time, isBuyerMaker, isBestMatch
- ``klines``: the 12 columns of ``/api/v3/klines``, one-minute interval
- ``stream``: receive time in microseconds, tab, the combined-stream message; no header

A file is read exactly or refused; none is read in part. The first row of an archive is a header if no cell of it has
a digit; each other row is data, and one bad cell refuses the file. Blank lines are passed over. Times in milliseconds
and in microseconds, also in one file, become microseconds.

An archive is made what the exchange streamed: ordered by id, each id once. A row that repeats another one is left out
and counted; one that contradicts it refuses the file. Void aggregates are left out and counted. A recorded stream is
kept as it is: its order, its repetitions, its faults.
"""

import csv
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Literal

from exchange_simulator.compact_trades import RecordColumns
from exchange_simulator.klines import Kline
from exchange_simulator.recording_files import RecordingError, Source, open_lines
from exchange_simulator.recording_names import Archive, Told, read_names
from exchange_simulator.recording_rows import (
    COLUMNS,
    aggregate_row,
    futures_layout,
    kline_row,
    stream_parser,
    trade_row,
)
from exchange_simulator.trades import Record, StreamType, Trade

__all__ = ["Description", "RecordedKlines", "Recording", "RecordingError", "describe", "read", "read_klines"]

Layout = Literal["trades", "aggTrades", "klines", "stream"]
Row = tuple[int, list[str]]  # line number from 1, and the cells

_ARCHIVES: dict[int, Archive] = {len(columns): archive for archive, columns in COLUMNS.items()}
_OTHER_DELIMITERS = ";\t|"


@dataclass(frozen=True)
class LeftOut:
    """How many rows of an archive were not taken as they stand."""

    void: int = 0
    repeated: int = 0
    is_reordered: bool = False


@dataclass(frozen=True)
class Recording:
    """Recorded trades or aggregated trades: an archive's in order of their ids, a stream's in the order of the file."""

    path: Path
    layout: Layout
    stream_type: StreamType
    records: RecordColumns
    left_out: LeftOut = LeftOut()

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols, in order of appearance."""
        return tuple(self.records.symbols)


@dataclass(frozen=True)
class RecordedKlines:
    """Official one-minute klines of a symbol by open time (microseconds)."""

    path: Path
    symbol: str
    rows: dict[int, Kline]
    left_out: LeftOut = LeftOut()


@dataclass(frozen=True)
class Description:
    """What a file holds; times in microseconds, of trades (never of receiving them) or of klines' openings."""

    path: Path
    layout: Layout
    symbols: tuple[str, ...]
    rows: int
    first_time: int
    last_time: int
    left_out: LeftOut = LeftOut()


def describe(path: Path, asked: Sequence[str] = ()) -> Description:
    """Return what the file holds, after checking every row.

    ``asked`` are the symbols of the run (SYMBOLS): a single one is that of an archive whose name does not tell it.

    Raises:
        RecordingError: it is missing, empty, of no known layout, a row is wrong, or nothing tells the symbol.
    """
    with _opened(path) as file:
        if file.layout == "klines":
            klines = _klines(file, asked)
            return Description(
                path, "klines", (klines.symbol,), len(klines.rows), min(klines.rows), max(klines.rows), klines.left_out
            )
        recording = _recording(file, asked)
    times = recording.records.times
    return Description(
        path, file.layout, recording.symbols, len(times), min(times), max(times), recording.left_out
    )  # fmt: skip


def read(path: Path, asked: Sequence[str] = ()) -> Recording:
    """Return the trades or aggregated trades of an archive or a recorded stream.

    Raises:
        RecordingError: as :func:`describe`, or the file holds klines.
    """
    with _opened(path) as file:
        if file.layout == "klines":
            raise file.source.error("these are klines; set SIM_KLINES_FILE to it and SIM_FILE to trades")
        return _recording(file, asked)


def read_klines(path: Path, asked: Sequence[str] = ()) -> RecordedKlines:
    """Return the official klines of a file.

    Raises:
        RecordingError: as :func:`describe`, or the file holds no klines.
    """
    with _opened(path) as file:
        if file.layout != "klines":
            raise file.source.error(f"these are {file.layout}, SIM_KLINES_FILE wants 12-column klines")
        return _klines(file, asked)


@dataclass(frozen=True)
class _File:
    """An open recording: its layout, what its name tells, and its rows of data, which are read once."""

    source: Source
    layout: Layout
    told: Told
    width: int
    rows: Iterator[Row]

    def symbol(self, asked: Sequence[str]) -> str:
        """Return the symbol of an archive: the one of its name, else the only one asked for."""
        if self.told.symbol is not None:
            return self.told.symbol
        if len(asked) != 1:
            raise self.source.error(
                "its name does not tell the symbol; say it with SYMBOLS=TRXUSDT, or name the file as the exchange"
                " does: TRXUSDT-trades-2025-03-04.csv"
            )
        return asked[0]

    def each(self, take: Callable[[int, Sequence[str]], None]) -> None:
        """Hand each row with its number to ``take``.

        Raises:
            RecordingError: ``take`` raised a ValueError or an OverflowError, or a row is wider or narrower.
        """
        for number, row in self.rows:
            if len(row) != self.width:
                raise self.source.error(f"{len(row)} columns where the rows before have {self.width}", number)
            try:
                take(number, row)
            except (ValueError, OverflowError) as error:  # msgspec's errors are ValueErrors
                raise self.source.error(str(error), number) from error


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    with open_lines(path) as (source, lines):
        try:
            told = read_names([path.name] if source.member is None else [path.name, Path(source.member).name])
        except ValueError as error:
            raise source.error(str(error)) from error
        line = next(lines, None)
        texts = _texts(source, lines if line is None else chain([line], lines))
        first = next(texts, None)
        if first is None:
            raise source.error("it has no rows" if line is not None else "it is empty")
        if _is_of_stream(source, *first):
            rows: Iterator[Row] = ((number, text.split("\t", 1)) for number, text in chain([first], texts))
            yield _File(source, "stream", told, 2, rows)
            return
        rows = ((number, _cells(source, number, text)) for number, text in chain([first], texts))
        row = next(rows)
        header = None
        if _is_header(row[1]):
            header, row = row, next(rows, (0, []))
            if not row[1]:
                raise source.error("it has no rows but its header")
        layout = _layout(source, *row, told.archive)
        width = len(COLUMNS[layout])
        if header is not None and len(header[1]) != width:
            raise source.error(f"the header has {len(header[1])} columns and row {row[0]} has {width}", header[0])
        yield _File(source, layout, told, width, chain([row], rows))


def _texts(source: Source, lines: Iterator[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank with their numbers from 1, as an editor counts."""
    for number, line in enumerate(lines, 1):
        if not line.isascii() and any("\ud800" <= character <= "\udfff" for character in line):
            raise source.error("this is no text in UTF-8; convert it: iconv -t UTF-8", number)
        if line.strip(" \t"):
            yield number, line


def _is_of_stream(source: Source, number: int, text: str) -> bool:
    if text.lstrip().startswith("{"):
        raise source.error(
            "a recorded stream has the receive time (microseconds) and a tab before each message", number
        )
    received, tab, message = text.partition("\t")
    return bool(tab) and "," not in received and message.lstrip().startswith("{")


def _cells(source: Source, number: int, text: str) -> list[str]:
    """Return the cells of a line of an archive. A quoted cell never goes on in the next line: none of ours is text."""
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise source.error(f"its quotes are wrong: {error}", number) from error


def _is_header(cells: Sequence[str]) -> bool:
    """Whether a first row is a header: names, and a number in none of its cells."""
    text = "".join(cells)
    return (
        len(cells) > 1
        and text.strip() != ""
        and text.isprintable()
        and not any(character.isdigit() for character in text)
    )


def _layout(source: Source, number: int, row: Sequence[str], named: Archive | None) -> Archive:
    futures = futures_layout(row)
    if futures is not None:
        raise source.error(
            f"this is a futures archive: {futures} with {len(row)} columns, spot's have"
            f" {len(COLUMNS['trades' if futures == 'trades' else 'aggTrades'])}; only the spot market is followed,"
            " take the file from the archive's folder data/spot",
            number,
        )
    layout = _ARCHIVES.get(len(row))
    if layout is None:
        delimiter = next((other for other in _OTHER_DELIMITERS if len(row) == 1 and other in row[0]), None)
        separated = "" if delimiter is None else f", the cells are separated by {delimiter!r} and not by commas"
        raise source.error(
            f"unknown layout with {len(row)} columns{separated}; known are archives of trades (7 columns),"
            " aggTrades (8) and klines (12), and recorded streams (receive time, tab, message)",
            number,
        )
    if named is not None and layout != named:
        raise source.error(
            f"{len(row)} columns, as {layout} have, and its name says {named}, which have {len(COLUMNS[named])}", number
        )
    return layout


def _recording(file: _File, asked: Sequence[str]) -> Recording:
    if file.layout == "stream":
        return _stream(file)
    symbol = file.symbol(asked)
    columns = RecordColumns()
    seen = _Rows(file.source)
    void = 0

    def take(number: int, row: Sequence[str]) -> None:
        nonlocal void
        record = trade_row(symbol, row) if file.layout == "trades" else aggregate_row(symbol, row)
        if record is None:
            void += 1
            return
        columns.append(record)
        seen.add(number, row)

    try:
        file.each(take)
    except RecordingError:
        seen.order(columns.ids)  # the first bad row is named: one that contradicts may stand before this one
        raise
    if not columns:
        raise file.source.error(f"it has no rows but {void} void aggregates")
    order = seen.order(columns.ids)
    repeated = 0 if order is None else len(columns) - len(order)
    is_reordered = order is not None and any(after < before for before, after in pairwise(order))
    return Recording(
        file.source.path,
        file.layout,
        "trade" if file.layout == "trades" else "aggTrade",
        columns if order is None else columns.taken(order),
        LeftOut(void, repeated, is_reordered),
    )


class _Rows:
    """Line number and hashed text of each row that became a record: what tells a repetition from a contradiction."""

    def __init__(self, source: Source) -> None:
        self.numbers = array("q")
        self.texts = array("q")
        self._source = source

    def add(self, number: int, row: Sequence[str]) -> None:
        """Take in the next row."""
        self.numbers.append(number)
        self.texts.append(hash(",".join(row).lower()))

    def order(self, ids: "array[int]") -> list[int] | None:
        """Return the positions in order of ``ids``, each id once, None where the rows are so already.

        Raises:
            RecordingError: two rows with one id differ.
        """
        if all(before < after for before, after in pairwise(ids)):
            return None
        kept: list[int] = []
        contradictions: list[tuple[int, int, int]] = []
        for position in sorted(range(len(ids)), key=ids.__getitem__):  # stable: the file's order among equals
            if not kept or ids[position] != ids[kept[-1]]:
                kept.append(position)
            elif self.texts[position] != self.texts[kept[-1]]:
                contradictions.append((self.numbers[position], self.numbers[kept[-1]], ids[position]))
        if contradictions:
            row, other, record_id = min(contradictions)
            raise self._source.error(f"it contradicts row {other}, which has the same id {record_id}", row)
        return kept


def _stream(file: _File) -> Recording:
    parse_row = stream_parser()
    columns = RecordColumns()
    kind: type[Record] | None = None

    def take(_number: int, row: Sequence[str]) -> None:
        nonlocal kind
        record = parse_row(row)
        kind = kind or type(record)
        if type(record) is not kind:
            raise ValueError("trade and aggTrade messages are mixed; keep one kind a file")
        columns.append(record)

    file.each(take)
    return Recording(file.source.path, "stream", "trade" if kind is Trade else "aggTrade", columns)


def _klines(file: _File, asked: Sequence[str]) -> RecordedKlines:
    symbol = file.symbol(asked)
    klines: dict[int, Kline] = {}
    repeated = 0

    def take(_number: int, row: Sequence[str]) -> None:
        nonlocal repeated
        kline = kline_row(row)
        known = klines.setdefault(kline.open_time, kline)
        if known != kline:
            raise ValueError(f"it contradicts an earlier row of the same minute, {row[0]} (column openTime)")
        repeated += known is not kline

    file.each(take)
    return RecordedKlines(file.source.path, symbol, klines, LeftOut(repeated=repeated))
