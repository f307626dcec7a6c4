"""Reading recorded market data: the exchange's archives (csv, or one in a zip) and recorded streams (tsv).

Layouts, told apart by their columns (a header row may come first; https://github.com/binance/binance-public-data):

- ``trades``: id, price, qty, quoteQty, time, isBuyerMaker, isBestMatch
- ``aggTrades``: id, price, qty, first id, last id, time, isBuyerMaker, isBestMatch
- ``klines``: the 12 columns of ``/api/v3/klines``, one-minute interval
- ``stream``: receive time in microseconds, tab, the combined-stream message; no header

Times in milliseconds and in microseconds are both accepted and become microseconds. Nothing else is changed: not the
order, not the digits of a number, not a fault in the data.
"""

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crypto_analytics.simulator.columns import RecordColumns
from crypto_analytics.simulator.klines import Kline
from crypto_analytics.simulator.recorded_rows import aggregate_parser, kline_row, stream_row, trade_parser
from crypto_analytics.simulator.tape import Record, StreamType, Trade

Layout = Literal["trades", "aggTrades", "klines", "stream"]

_COLUMNS: dict[int, Layout] = {7: "trades", 8: "aggTrades", 12: "klines"}
_NAMED_SYMBOL = re.compile(r"([A-Z0-9]{2,20})[-_]")
_ENCRYPTED = 1  # bit of a zip member's flags


class RecordingError(ValueError):
    """A file that is no recording, or not the one wanted; the text names file, row and cause."""


@dataclass(frozen=True)
class Recording:
    """Recorded trades or aggregated trades, in the order of the file."""

    path: Path
    layout: Layout
    stream_type: StreamType
    records: RecordColumns

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


@dataclass(frozen=True)
class Description:
    """What a file holds; times in microseconds, of trades (never of receiving them) or of klines' openings."""

    path: Path
    layout: Layout
    symbols: tuple[str, ...]
    rows: int
    first_time: int
    last_time: int


def describe(path: Path) -> Description:
    """Return what the file holds, after checking every row.

    Raises:
        RecordingError: it is missing, empty, of no known layout, or a row is wrong.
    """
    with _rows(path) as (layout, rows):
        if layout == "klines":
            klines = _klines(path, rows)
            return Description(path, layout, (klines.symbol,), len(klines.rows), min(klines.rows), max(klines.rows))
        recording = _recording(path, layout, rows)
    times = recording.records.times
    return Description(path, layout, recording.symbols, len(times), min(times), max(times))


def read(path: Path) -> Recording:
    """Return the trades or aggregated trades of an archive or a recorded stream.

    Raises:
        RecordingError: as :func:`describe`, or the file holds klines.
    """
    with _rows(path) as (layout, rows):
        if layout == "klines":
            raise RecordingError(f"{path}: these are klines; set SIM_KLINES_FILE to it and SIM_FILE to trades")
        return _recording(path, layout, rows)


def read_klines(path: Path) -> RecordedKlines:
    """Return the official klines of a file.

    Raises:
        RecordingError: as :func:`describe`, or the file holds no klines.
    """
    with _rows(path) as (layout, rows):
        if layout != "klines":
            raise RecordingError(f"{path}: these are {layout}, SIM_KLINES_FILE wants 12-column klines")
        return _klines(path, rows)


@contextmanager
def _rows(path: Path) -> Iterator[tuple[Layout, Iterator[tuple[int, list[str]]]]]:
    """Yield the layout and the data rows with their numbers (from 1, as an editor counts)."""
    with _open(path) as lines:
        rows = ((number, row) for number, row in enumerate(_split(path, lines), 1) if row)
        first = next(rows, None)
        if first is not None and len(first[1]) > 2 and not first[1][0].isdecimal():
            first = next(rows, None)  # the first row was a header
        if first is None:
            raise RecordingError(f"{path}: it has no rows")
        yield _layout(path, *first), _of_one_width(path, first, rows)


@contextmanager
def _open(path: Path) -> Iterator[Iterable[str]]:
    """Yield the lines of the file or of the one in the zip; what goes wrong in reading them is told as one error."""
    try:
        if path.suffix.lower() != ".zip":
            with path.open(encoding="utf-8-sig", newline="") as lines:
                yield lines
            return
        with (
            zipfile.ZipFile(path) as archive,
            archive.open(_member(path, archive)) as raw,
            io.TextIOWrapper(raw, "utf-8-sig", newline="") as lines,
        ):
            yield lines
    except FileNotFoundError as error:
        raise RecordingError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path}: this is no text: {error}") from error
    except (OSError, EOFError, csv.Error, zipfile.BadZipFile, zlib.error) as error:
        raise RecordingError(f"{path}: cannot be read: {error}") from error


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [info for info in archive.infolist() if Path(info.filename).suffix.lower() in (".csv", ".tsv")]
    if len(members) != 1:
        raise RecordingError(f"{path}: a zip must hold one .csv or .tsv file, this one has {len(members)}")
    if members[0].flag_bits & _ENCRYPTED:
        raise RecordingError(f"{path}: the zip is encrypted; unpack it first")
    return members[0]


def _split(path: Path, lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the cells of each line; the first one tells tabs from commas."""
    lines = iter(lines)
    first = next(lines, None)
    if first is None:
        raise RecordingError(f"{path}: it is empty")
    everything = _chained(first, lines)
    if "\t" in first:
        yield from (line.rstrip("\r\n").split("\t", 1) if line.strip() else [] for line in everything)
    else:
        yield from csv.reader(everything)


def _chained(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines


def _layout(path: Path, number: int, row: list[str]) -> Layout:
    if len(row) == 2 and row[0].isdecimal() and row[1].startswith("{"):
        return "stream"
    layout = _COLUMNS.get(len(row))
    if layout is None or not row[0].isdecimal():
        raise RecordingError(
            f"{path}: row {number}: unknown layout with {len(row)} columns; known are archives of trades (7 columns),"
            " aggTrades (8) and klines (12), and recorded streams (receive time, tab, message)"
        )
    return layout


def _of_one_width(
    path: Path, first: tuple[int, list[str]], rows: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    width = len(first[1])
    yield first
    for number, row in rows:
        if len(row) != width:
            raise RecordingError(f"{path}: row {number}: {len(row)} columns where the rows before have {width}")
        yield number, row


def _symbol(path: Path) -> str:
    names = [path.name]
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            names.append(Path(_member(path, archive).filename).name)
    for name in names:
        if match := _NAMED_SYMBOL.match(name):
            return match[1]
    raise RecordingError(f"{path}: its name does not tell the symbol; name it as in TRXUSDT-trades-2025-03-04.csv")


def _recording(path: Path, layout: Layout, rows: Iterator[tuple[int, list[str]]]) -> Recording:
    parse: Callable[[list[str]], Record]
    if layout == "stream":
        parse = stream_row
    elif layout == "trades":
        parse = trade_parser(_symbol(path))
    else:
        parse = aggregate_parser(_symbol(path))
    kind: type[Record] | None = None
    columns = RecordColumns()
    for number, row in rows:
        try:
            record = parse(row)
            kind = kind or type(record)
            if type(record) is not kind:
                raise ValueError("trade and aggTrade messages are mixed; keep one kind a file")
            columns.append(record)
        except (ValueError, OverflowError) as error:  # msgspec's errors are ValueErrors
            raise RecordingError(f"{path}: row {number}: {error}") from error
    return Recording(path, layout, "trade" if kind is Trade else "aggTrade", columns)


def _klines(path: Path, rows: Iterator[tuple[int, list[str]]]) -> RecordedKlines:
    klines: dict[int, Kline] = {}
    for number, row in rows:
        try:
            kline = kline_row(row)
        except ValueError as error:
            raise RecordingError(f"{path}: row {number}: {error}") from error
        klines[kline.open_time] = kline
    return RecordedKlines(path, _symbol(path), klines)
