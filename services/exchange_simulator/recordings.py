"""Read recorded market data: the exchange's archives (csv, or one in a zip) and recorded streams (tsv).

The kinds of recordings differ in their columns (https://github.com/binance/binance-public-data):

- ``trades``: id, price, qty, quoteQty, time, isBuyerMaker, isBestMatch
- ``aggTrades``: id, price, qty, first id, last id, time, isBuyerMaker, isBestMatch
- ``klines``: the 12 columns of ``/api/v3/klines``, one-minute interval
- ``stream``: receive time in microseconds, tab, the combined-stream message; no header

A file is read exactly or refused, never in part: one invalid cell refuses the file. Times in milliseconds and in
microseconds, also in one file, become microseconds.

The rows of an archive are sorted into the order of the stream: by id, each id once. A repeated row is skipped and
counted, a contradicting row refuses the file. Void aggregates are skipped and counted. A recorded stream keeps its
order, its repetitions and its faults.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from exchange_simulator.compact_trades import CompactTrades
from exchange_simulator.klines import Kline
from exchange_simulator.recording_files import RecordingError, Source
from exchange_simulator.recording_reader import RecordingFile, RecordingKind, open_recording
from exchange_simulator.recording_rows import aggregate_row, kline_row, stream_parser, trade_row
from exchange_simulator.trades import AnyTrade, StreamType, Trade

__all__ = [
    "RecordedKlines",
    "Recording",
    "RecordingError",
    "RecordingKind",
    "RecordingSummary",
    "SkippedRows",
    "describe",
    "read",
    "read_klines",
]


@dataclass(frozen=True)
class SkippedRows:
    """The number of rows of an archive that were skipped, and whether the others were reordered."""

    void: int = 0
    repeated: int = 0
    is_reordered: bool = False


@dataclass(frozen=True)
class Recording:
    """Recorded trades or aggregated trades: an archive's in order of their ids, a stream's in the order of the file."""

    path: Path
    kind: RecordingKind
    stream_type: StreamType
    trades: CompactTrades
    skipped: SkippedRows = SkippedRows()

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols, in order of appearance."""
        return tuple(self.trades.symbols)


@dataclass(frozen=True)
class RecordedKlines:
    """Official one-minute klines of a symbol by open time (microseconds)."""

    path: Path
    symbol: str
    rows: dict[int, Kline]
    skipped: SkippedRows = SkippedRows()


@dataclass(frozen=True)
class RecordingSummary:
    """The content of a file. The times (us) are those of trades, or the open times of klines."""

    path: Path
    kind: RecordingKind
    symbols: tuple[str, ...]
    rows: int
    first_time: int
    last_time: int
    skipped: SkippedRows = SkippedRows()


def describe(path: Path, asked: Sequence[str] = ()) -> RecordingSummary:
    """Return a summary of the file, after validating every row.

    ``asked`` has the configured SYMBOLS: a single one is the symbol of an archive whose name lacks it.

    Raises:
        RecordingError: it is missing, empty or of an unknown layout, a row is invalid, or the symbol is unknown.
    """
    with open_recording(path) as file:
        if file.kind == "klines":
            klines = _klines(file, asked)
            return RecordingSummary(
                path, "klines", (klines.symbol,), len(klines.rows), min(klines.rows), max(klines.rows), klines.skipped
            )
        recording = _recording(file, asked)
    times = recording.trades.times
    return RecordingSummary(
        path, file.kind, recording.symbols, len(times), min(times), max(times), recording.skipped
    )  # fmt: skip


def read(path: Path, asked: Sequence[str] = ()) -> Recording:
    """Return the trades or aggregated trades of an archive or a recorded stream.

    Raises:
        RecordingError: as :func:`describe`, or the file holds klines.
    """
    with open_recording(path) as file:
        if file.kind == "klines":
            raise file.source.error("these are klines; set SIM_KLINES_FILE to it and SIM_FILE to trades")
        return _recording(file, asked)


def read_klines(path: Path, asked: Sequence[str] = ()) -> RecordedKlines:
    """Return the official klines of a file.

    Raises:
        RecordingError: as :func:`describe`, or the file holds no klines.
    """
    with open_recording(path) as file:
        if file.kind != "klines":
            raise file.source.error(f"these are {file.kind}, SIM_KLINES_FILE wants 12-column klines")
        return _klines(file, asked)


def _recording(file: RecordingFile, asked: Sequence[str]) -> Recording:
    if file.kind == "stream":
        return _stream(file)
    symbol = file.symbol(asked)
    columns = CompactTrades()
    seen = _RowHashes(file.source)
    void = 0

    def take(number: int, row: Sequence[str]) -> None:
        nonlocal void
        trade = trade_row(symbol, row) if file.kind == "trades" else aggregate_row(symbol, row)
        if trade is None:
            void += 1
            return
        columns.append(trade)
        seen.add(number, row)

    try:
        file.each(take)
    except RecordingError:
        seen.order(columns.ids)  # reports a contradicting row instead, if it stands before this one
        raise
    if not columns:
        raise file.source.error(f"it has no rows but {void} void aggregates")
    order = seen.order(columns.ids)
    repeated = 0 if order is None else len(columns) - len(order)
    is_reordered = order is not None and any(after < before for before, after in pairwise(order))
    return Recording(
        file.source.path,
        file.kind,
        "trade" if file.kind == "trades" else "aggTrade",
        columns if order is None else columns.selected(order),
        SkippedRows(void, repeated, is_reordered),
    )


class _RowHashes:
    """Line number and hash of each row that became a trade, to distinguish repeated rows from contradicting ones."""

    def __init__(self, source: Source) -> None:
        self.numbers = array("q")
        self.texts = array("q")
        self._source = source

    def add(self, number: int, row: Sequence[str]) -> None:
        """Add the next row."""
        self.numbers.append(number)
        self.texts.append(hash(",".join(row).lower()))

    def order(self, ids: "array[int]") -> list[int] | None:
        """Return the positions in order of ``ids``, each id once; None if the rows have that order already.

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
            row, other, trade_id = min(contradictions)
            raise self._source.error(f"it contradicts row {other}, which has the same id {trade_id}", row)
        return kept


def _stream(file: RecordingFile) -> Recording:
    parse_row = stream_parser()
    columns = CompactTrades()
    kind: type[AnyTrade] | None = None

    def take(_number: int, row: Sequence[str]) -> None:
        nonlocal kind
        trade = parse_row(row)
        kind = kind or type(trade)
        if type(trade) is not kind:
            raise ValueError("trade and aggTrade messages are mixed; use one kind per file")
        columns.append(trade)

    file.each(take)
    return Recording(file.source.path, "stream", "trade" if kind is Trade else "aggTrade", columns)


def _klines(file: RecordingFile, asked: Sequence[str]) -> RecordedKlines:
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
    return RecordedKlines(file.source.path, symbol, klines, SkippedRows(repeated=repeated))
