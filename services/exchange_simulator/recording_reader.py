"""Open a recording, detect its kind from its first rows, and read its rows.

The first row of an archive is a header if no cell of it has a digit; each other row is data. Blank lines are skipped.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from exchange_simulator.recording_files import Source, open_lines
from exchange_simulator.recording_names import ArchiveKind, ArchiveName, read_names
from exchange_simulator.recording_rows import COLUMNS, futures_archive

RecordingKind = Literal["trades", "aggTrades", "klines", "stream"]
Row = tuple[int, list[str]]  # line number from 1, and the cells

_ARCHIVES: dict[int, ArchiveKind] = {len(columns): archive for archive, columns in COLUMNS.items()}
_OTHER_DELIMITERS = ";\t|"


@dataclass(frozen=True)
class RecordingFile:
    """An open recording: its kind, its parsed name, and its rows of data, which can be read once."""

    source: Source
    kind: RecordingKind
    name: ArchiveName
    width: int
    rows: Iterator[Row]

    def symbol(self, asked: Sequence[str]) -> str:
        """Return the symbol of an archive: the one in its name, else the only one in ``asked``."""
        if self.name.symbol is not None:
            return self.name.symbol
        if len(asked) != 1:
            raise self.source.error(
                "its name does not contain the symbol; set SYMBOLS=TRXUSDT, or name the file as the exchange"
                " does: TRXUSDT-trades-2025-03-04.csv"
            )
        return asked[0]

    def each(self, take: Callable[[int, Sequence[str]], None]) -> None:
        """Call ``take`` with the number and the cells of each row.

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
def open_recording(path: Path) -> Iterator[RecordingFile]:
    """Yield the recording at ``path``, with its kind detected from its first rows.

    Raises:
        RecordingError: it is missing, empty, damaged or of an unknown layout.
    """
    with open_lines(path) as (source, lines):
        try:
            name = read_names([path.name] if source.member is None else [path.name, Path(source.member).name])
        except ValueError as error:
            raise source.error(str(error)) from error
        line = next(lines, None)
        texts = _texts(source, lines if line is None else chain([line], lines))
        first = next(texts, None)
        if first is None:
            raise source.error("it has no rows" if line is not None else "it is empty")
        if _is_stream(source, *first):
            rows: Iterator[Row] = ((number, text.split("\t", 1)) for number, text in chain([first], texts))
            yield RecordingFile(source, "stream", name, 2, rows)
            return
        rows = ((number, _cells(source, number, text)) for number, text in chain([first], texts))
        row = next(rows)
        header = None
        if _is_header(row[1]):
            header, row = row, next(rows, (0, []))
            if not row[1]:
                raise source.error("it has no rows but its header")
        kind = _archive_kind(source, *row, name.archive)
        width = len(COLUMNS[kind])
        if header is not None and len(header[1]) != width:
            raise source.error(f"the header has {len(header[1])} columns and row {row[0]} has {width}", header[0])
        yield RecordingFile(source, kind, name, width, chain([row], rows))


def _texts(source: Source, lines: Iterator[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank with their line numbers, counted from 1."""
    for number, line in enumerate(lines, 1):
        if not line.isascii() and any("\ud800" <= character <= "\udfff" for character in line):
            raise source.error("this is not UTF-8 text; convert it: iconv -t UTF-8", number)
        if line.strip(" \t"):
            yield number, line


def _is_stream(source: Source, number: int, text: str) -> bool:
    if text.lstrip().startswith("{"):
        raise source.error(
            "a recorded stream has the receive time (microseconds) and a tab before each message", number
        )
    received, tab, message = text.partition("\t")
    return bool(tab) and "," not in received and message.lstrip().startswith("{")


def _cells(source: Source, number: int, text: str) -> list[str]:
    """Return the cells of a line of an archive. A quoted cell never continues in the next line: no cell is text."""
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise source.error(f"its quotes are wrong: {error}", number) from error


def _is_header(cells: Sequence[str]) -> bool:
    """Return whether a first row is a header: names, and no digit in any cell."""
    text = "".join(cells)
    return (
        len(cells) > 1
        and text.strip() != ""
        and text.isprintable()
        and not any(character.isdigit() for character in text)
    )


def _archive_kind(source: Source, number: int, row: Sequence[str], named: ArchiveKind | None) -> ArchiveKind:
    futures = futures_archive(row)
    if futures is not None:
        raise source.error(
            f"this is a futures archive: {futures} with {len(row)} columns, spot's have"
            f" {len(COLUMNS['trades' if futures == 'trades' else 'aggTrades'])}; only the spot market is followed,"
            " take the file from the archive's folder data/spot",
            number,
        )
    kind = _ARCHIVES.get(len(row))
    if kind is None:
        delimiter = next((other for other in _OTHER_DELIMITERS if len(row) == 1 and other in row[0]), None)
        separated = "" if delimiter is None else f", the cells are separated by {delimiter!r} and not by commas"
        raise source.error(
            f"unknown layout with {len(row)} columns{separated}; known are archives of trades (7 columns),"
            " aggTrades (8) and klines (12), and recorded streams (receive time, tab, message)",
            number,
        )
    if named is not None and kind != named:
        raise source.error(
            f"{len(row)} columns, as {kind} have, but its name is that of {named}, which have {len(COLUMNS[named])}",
            number,
        )
    return kind
