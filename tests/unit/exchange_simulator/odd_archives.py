"""Generate irregular archive files, each with the expected result: its content, or the first bad row and the error.

The generator creates trades, formats them as rows and lines, and adds at most one fault. It derives the expected result
from these steps: it never parses a file, and shares no code with the reader under test.
"""

import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

Kind = Literal["trades", "aggTrades", "klines"]
Value = tuple[object, ...]

COLUMNS = {
    "trades": ["id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"],
    "aggTrades": ["id", "price", "qty", "firstId", "lastId", "time", "isBuyerMaker", "isBestMatch"],
    "klines": [
        "openTime", "open", "high", "low", "close", "volume", "closeTime", "quoteVolume", "count", "takerBuyVolume",
        "takerBuyQuoteVolume", "ignore",
    ],
}  # fmt: skip
HEADERS = {
    "trades": ["id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch", "trade Id,price,qty,quote,time,maker,best"],
    "aggTrades": [
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker,is_best_match"
    ],
    "klines": [
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,"
        "ignore"
    ],
}
BAD_INTEGERS = [
    "", "x", "1.5", "+1", " 1", "1 ", "1e3", "\uff11\uff12", "-1", "1_000", "0x10", "NaN", "1\0", "9" * 30, "x7",
]  # fmt: skip
BAD_DECIMALS = [
    "", "abc", "-1", "+1", "1e-7", "1.", ".5", " 1", "\uff11", "NaN", "inf", "1.2.3", "1\0", "0.5x", "1 000",
]  # fmt: skip
BAD_BOOLEANS = ["", "1", "0", "yes", "T", "None", " true", "true ", "tru\u0435"]  # it ends in a Cyrillic letter
BAD_TIMES = [*BAD_INTEGERS, "1741046400", "1741046400000000000", "0", "17410464000000"]
REASONS = {"integer": "is no integer", "decimal": "is no decimal number", "boolean": "is neither true nor false"}
START = 1_741_046_400_000_000  # 2025-03-04T00:00:00Z in microseconds
MINUTE = 60_000_000


@dataclass(frozen=True)
class Good:
    """A readable file: its trades ordered by id, the numbers of void and repeated rows, whether rows were reordered."""

    symbol: str
    values: list[Value]
    void: int = 0
    repeated: int = 0
    reordered: bool = False


@dataclass(frozen=True)
class Bad:
    """A refused file: the row of the error (None: the whole file), and words that the message contains."""

    row: int | None
    words: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """A file, the symbols to read it with, the expected result, and the name of its fault."""

    path: Path
    kind: Kind
    asked: tuple[str, ...]
    expected: Good | Bad
    fault: str


@dataclass
class Line:
    """A line of the file; ``value`` is its trade (None: a void aggregate, a header or a blank line)."""

    cells: list[str]
    role: Literal["header", "blank", "data", "void"] = "data"
    value: Value | None = None
    text: str | None = None  # instead of the cells


@dataclass
class Draft:
    """A file under construction."""

    rng: Random
    kind: Kind
    lines: list[Line]
    symbol: str
    stem: str
    asked: tuple[str, ...] = ()
    delimiter: str = ","
    quotes: Literal["none", "some", "all"] = "none"
    newline: str = "\n"
    encoding: str = "utf-8"
    container: Literal["csv", "zip"] = "csv"
    members: list[tuple[str, bytes]] = field(default_factory=list)  # beside the recording
    spoil: Callable[[bytes], bytes] | None = None  # damage done to the finished file

    def data(self) -> list[int]:
        """Return the positions of the lines with trades."""
        return [position for position, line in enumerate(self.lines) if line.role == "data"]

    def some(self) -> int:
        """Return the position of a random line with a trade."""
        return self.rng.choice(self.data())

    def first(self) -> int:
        """Return the position of the first line with a row of data, void or not."""
        return next(position for position, line in enumerate(self.lines) if line.role in ("data", "void"))

    def header(self) -> Line:
        """Return a header line."""
        return Line(self.rng.choice(HEADERS[self.kind]).split(","), "header")

    @property
    def member(self) -> str:
        """The name of the recording in a zip."""
        return f"{self.stem}.csv"

    def render(self) -> bytes:
        """Return the text of the recording."""
        texts = [self._render(line) for line in self.lines]
        text = self.newline.join(texts)
        if texts and self.rng.random() < 0.7:
            text += self.newline
        return text.encode(self.encoding, "surrogateescape")

    def _render(self, line: Line) -> str:
        if line.text is not None:
            return line.text
        return self.delimiter.join(self._quoted(cell) for cell in line.cells)

    def _quoted(self, cell: str) -> str:
        is_quoted = self.quotes == "all" or (self.quotes == "some" and self.rng.random() < 0.4)
        return f'"{cell}"' if is_quoted else cell


def cases(folder: Path, count: int, seed: int) -> Iterator[Case]:
    """Yield ``count`` files below ``folder``, the same for the same ``seed``."""
    rng = Random(seed)
    for number in range(count):
        place = folder / str(number)
        place.mkdir()
        yield _case(rng, place)


def _case(rng: Random, place: Path) -> Case:
    draft = _good(rng)
    name, expected = "none", None
    if rng.random() < 0.65:
        name = rng.choice([fault for fault, (_, kinds) in FAULTS.items() if draft.kind in kinds])
        expected = FAULTS[name][0](draft)
    if expected is None:
        expected = _content(draft)
    path = place / f"{draft.stem}.{draft.container}"
    content = draft.render()
    if draft.container == "zip":
        content = _zip(rng, [(draft.member, content), *draft.members])
        if rng.random() < 0.1:
            path = path.with_suffix(".csv")  # a zip file with the extension csv
    path.write_bytes(content if draft.spoil is None else draft.spoil(content))
    return Case(path, draft.kind, draft.asked, expected, name)


def _zip(rng: Random, members: list[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
        for name, content in rng.sample(members, len(members)):
            archive.writestr(name, content)
    return file.getvalue()


def _content(draft: Draft) -> Good:
    """Return the content of the lines."""
    held = [line.value for line in draft.lines if line.value is not None]
    once = list(dict.fromkeys(held))
    values = sorted(once, key=lambda value: int(str(value[0])))
    void = sum(line.role == "void" for line in draft.lines)
    return Good(draft.symbol, values, void, len(held) - len(once), draft.kind != "klines" and once != values)


def _good(rng: Random) -> Draft:
    kind: Kind = rng.choice(["trades", "trades", "aggTrades", "aggTrades", "klines"])
    symbol = rng.choice(["TRXUSDT", "BTCUSDT", "1INCHUSDT", "币安人生USDT", "BTCUSDT_240329", "A"])
    middle = rng.choice(["1m", "1m"]) if kind == "klines" else kind
    stem = f"{symbol}-{middle}{rng.choice(['-2025-03-04', '-2025-03', '', '-2017-08-17 (1)'])}"
    draft = Draft(rng, kind, list(_rows(rng, kind)), symbol, stem)
    if rng.random() < 0.15:
        draft.stem, draft.asked = rng.choice(["2025-03-04_", "20250304-", "my-"]) + stem, (symbol,)
    if rng.random() < 0.15:
        rng.shuffle(draft.lines)
    for _ in range(rng.choice([0, 0, 0, 1, 3])):
        draft.lines.insert(rng.randrange(len(draft.lines) + 1), draft.lines[draft.some()])
    if rng.random() < 0.4:
        draft.lines.insert(0, draft.header())
    for _ in range(rng.choice([0, 0, 0, 1, 4])):
        draft.lines.insert(rng.randrange(len(draft.lines) + 1), Line([], "blank", text=rng.choice(["", "", " ", "\t"])))
    draft.quotes = rng.choice(["none", "none", "none", "some", "all"])
    draft.newline = rng.choice(["\n", "\n", "\r\n", "\r"])
    draft.encoding = rng.choice(["utf-8", "utf-8", "utf-8-sig"])
    if rng.random() < 0.3:
        draft.container = "zip"
        others = [(f"{stem}.csv.CHECKSUM", b"0 x.csv\n"), (f"__MACOSX/._{stem}.csv", b"\0\5"), ("read me.txt", b"7,1")]
        draft.members = rng.sample(others, rng.randrange(len(others) + 1))
    return draft


def _rows(rng: Random, kind: Kind) -> Iterator[Line]:
    """Yield good rows: ids from 0 or from anywhere, with gaps, times in either unit or in both."""
    number = rng.choice([0, 0, 1, rng.randrange(10**9)])
    trade_id = rng.choice([0, rng.randrange(10**12)])
    time = START + rng.randrange(1000) * 1000
    units = rng.choice([["ms"], ["us"], ["ms", "us"]])
    for _ in range(rng.randrange(1, 13)):
        unit = rng.choice(units)
        if kind == "klines":
            yield _kline(rng, START + number % 100_000 * MINUTE, unit)
            number += 1 if rng.random() < 0.9 else 5
            continue
        moment = time if unit == "us" else time // 1000 * 1000
        stamp = str(moment if unit == "us" else moment // 1000)
        price, quantity, maker, best = _decimal(rng), _decimal(rng), rng.random() < 0.5, rng.random() < 0.9
        flags = [_boolean(rng, maker), _boolean(rng, best)]
        if kind == "trades":
            cells = [str(number), price, quantity, _decimal(rng), stamp, *flags]
            yield Line(cells, value=(number, price, quantity, number, number, moment, maker, best))
        else:
            last = trade_id + rng.choice([0, 0, 1, 7])
            cells = [str(number), price, quantity, str(trade_id), str(last), stamp, *flags]
            yield Line(cells, value=(number, price, quantity, trade_id, last, moment, maker, best))
            trade_id = last + rng.choice([1, 1, 4])
        number += rng.choice([1, 1, 1, 2, 50])
        time += rng.randrange(5_000_000)
        if kind == "aggTrades" and rng.random() < 0.08:
            zero = rng.choice(["0", "0.0", "0.00000000"])
            yield Line([str(number), zero, zero, "-1", "-1", stamp, *flags], "void")
            number += 1


def _kline(rng: Random, opened: int, unit: str) -> Line:
    prices = [_decimal(rng) for _ in range(4)]
    volume, quote, taker, taker_quote = (_decimal(rng) for _ in range(4))
    count = str(rng.randrange(10_000))
    begin, end = (opened, opened + MINUTE - 1) if unit == "us" else (opened // 1000, opened // 1000 + 59_999)
    cells = [str(begin), *prices, volume, str(end), quote, count, taker, taker_quote, "0"]
    return Line(cells, value=(opened, *prices, volume, quote, int(count), taker, taker_quote))


def _decimal(rng: Random) -> str:
    return rng.choice([
        f"{rng.randrange(100_000)}.{rng.randrange(10**8):08d}",
        f"{rng.randrange(100)}.{rng.randrange(1, 10)}",
        str(rng.randrange(100_000)),
        "0.00000001",
        "0",
        "0.0000000001",
    ])  # fmt: skip


def _boolean(rng: Random, value: bool) -> str:
    text = str(value)
    return rng.choice([text, text, text.lower(), text.upper()])


# Faults: each changes a good draft in one way and returns the expected result.


def _replaced(draft: Draft, position: int, column: int, text: str) -> None:
    """Replace a cell of one line only: the repetitions of a row are the same object in the draft."""
    cells = list(draft.lines[position].cells)
    cells[column] = text
    draft.lines[position] = Line(cells)


def _damaged_cell(draft: Draft) -> Bad:
    position = draft.rng.choice([draft.some(), draft.some(), draft.data()[0]])
    column = draft.rng.randrange(len(COLUMNS[draft.kind]))
    name = COLUMNS[draft.kind][column]
    if "ime" in name:
        text = draft.rng.choice(BAD_TIMES)
        reason = "is no time" if text.isascii() and text.isdigit() else REASONS["integer"]
    else:
        type_ = "integer" if name in ("id", "firstId", "lastId", "count") else "decimal"
        type_ = "boolean" if name.startswith("is") else type_
        texts = {"integer": BAD_INTEGERS, "decimal": BAD_DECIMALS, "boolean": BAD_BOOLEANS}[type_]
        text, reason = draft.rng.choice(texts), REASONS[type_]
    _replaced(draft, position, column, text)
    return Bad(position + 1, (repr(text) if len(text) < 20 else "'999999", reason, f"(column {name})"))


def _byte_that_is_no_text(draft: Draft) -> Bad:
    position = draft.some()
    _replaced(draft, position, draft.rng.randrange(len(COLUMNS[draft.kind])), "1\udce9")
    return Bad(position + 1, ("UTF-8",))


def _missing_column(draft: Draft) -> Bad:
    position = draft.some()
    cells = list(draft.lines[position].cells)
    del cells[draft.rng.randrange(len(cells))]
    draft.lines[position] = Line(cells)
    return Bad(position + 1, ("columns",))


def _extra_column(draft: Draft) -> Bad:
    position = draft.some()
    cells = list(draft.lines[position].cells)
    cells.insert(draft.rng.randrange(len(cells) + 1), draft.rng.choice(["", "1", "true"]))
    draft.lines[position] = Line(cells)
    return Bad(position + 1, ("columns",))


def _other_delimiter(draft: Draft) -> Bad:
    draft.quotes, draft.delimiter = "none", draft.rng.choice([";", "\t", "|"])
    first = next(position for position, line in enumerate(draft.lines) if line.role != "blank")
    return Bad(first + 1, ("unknown layout with 1 columns", repr(draft.delimiter)))


def _line_with_other_delimiter(draft: Draft) -> Bad:
    position = draft.some()
    draft.lines[position] = Line([], text=draft.rng.choice([";", "\t", "|", " "]).join(draft.lines[position].cells))
    return Bad(position + 1, ("1 columns",))


def _second_header(draft: Draft) -> Bad:
    position = draft.rng.randrange(draft.first() + 1, len(draft.lines) + 1)
    draft.lines.insert(position, draft.header())
    return Bad(position + 1, ("is no integer", f"(column {COLUMNS[draft.kind][0]})"))


def _header_of_another_width(draft: Draft) -> Bad:
    draft.lines = [line for line in draft.lines if line.role != "header"]
    header = draft.header()
    draft.lines.insert(0, Line([*header.cells, "more"] if draft.rng.random() < 0.5 else header.cells[:-2], "header"))
    return Bad(1, ("the header has",))


def _contradiction(draft: Draft) -> Bad:
    original = draft.some()
    cells = list(draft.lines[original].cells)
    cells[1] += "7" if "." in cells[1] else ".7"
    position = draft.rng.randrange(original + 1, len(draft.lines) + 1)
    draft.lines.insert(position, Line(cells))
    return Bad(position + 1, ("contradicts",))


def _futures_layout(draft: Draft) -> Bad:
    draft.lines = [
        Line(line.cells[:-1], line.role, text=line.text) for line in draft.lines
    ]  # the exchange's futures archives lack the last column
    return Bad(draft.first() + 1, ("this is a futures archive", draft.kind))


def _open_quote(draft: Draft) -> Bad:
    draft.quotes = "none"
    position = draft.some()
    column = draft.rng.randrange(len(COLUMNS[draft.kind]))
    _replaced(draft, position, column, '"' + draft.lines[position].cells[column])
    return Bad(position + 1, ("quotes",))


def _cut_short(draft: Draft) -> Bad:
    while draft.lines[-1].role != "data":
        del draft.lines[-1]
    text = ",".join(draft.lines[-1].cells)
    keep = draft.rng.randrange(1, len(text))
    draft.lines[-1] = Line([], text=text[:keep])
    return Bad(len(draft.lines), ())


def _utf_16(draft: Draft) -> Bad:
    draft.encoding = "utf-16"
    draft.newline = "\n"
    return Bad(1, ("UTF-8",))


def _nothing(draft: Draft) -> Bad:
    draft.lines, draft.encoding = [], draft.rng.choice(["utf-8", "utf-8-sig"])
    return Bad(None, ("it is empty",))


def _blank_lines_only(draft: Draft) -> Bad:
    draft.lines = [Line([], "blank", text=text) for text in (" ", "", "\t")]
    return Bad(None, ("it has no rows",))


def _header_only(draft: Draft) -> Bad:
    draft.lines = [line for line in draft.lines if line.role == "blank"]
    draft.lines.insert(0, draft.header())
    return Bad(None, ("it has no rows",))


def _void_only(draft: Draft) -> Bad:
    draft.lines = [Line(["7", "0.0", "0", "-1", "-1", "1741046400000", "true", "True"], "void")] * 2
    return Bad(None, ("2 void aggregates",))


def _range_upside_down(draft: Draft) -> Bad:
    position = draft.some()
    cells = draft.lines[position].cells
    _replaced(draft, position, 3, str(int(cells[4]) + 1))
    return Bad(position + 1, ("is greater than the last trade id", "(column firstId)"))


def _half_void(draft: Draft) -> Bad:
    position = draft.some()
    for column, text in ((1, "0"), (2, "0"), (3, "-1")):
        _replaced(draft, position, column, text)
    return Bad(position + 1, ("'-1' is no integer", "(column firstId)"))


def _not_on_the_minute(draft: Draft) -> Bad:
    position = draft.some()
    _replaced(draft, position, 0, str(int(draft.lines[position].cells[0]) + 1))
    return Bad(position + 1, ("is not one minute", "(column openTime)"))


def _longer_than_a_minute(draft: Draft) -> Bad:
    position = draft.some()
    end = draft.lines[position].cells[6]
    _replaced(draft, position, 6, str(int(end) + (60_000 if len(end) < 15 else MINUTE)))
    return Bad(position + 1, ("is not one minute", "(column closeTime)"))


def _no_symbol(draft: Draft) -> Bad:
    kind = draft.stem.removeprefix("2025-03-04_").rpartition(draft.symbol)[2]
    draft.stem = draft.rng.choice(["2025-03-04_TRXUSDT", "20250304_TRXUSDT", "trxusdt", "my trades", "2025"]) + kind
    draft.asked = draft.rng.choice([(), ("BTCUSDT", "ETHUSDT")])
    return Bad(None, ("its name does not contain the symbol",))


def _other_columns_than_its_name(draft: Draft) -> Bad:
    other = {"trades": "aggTrades", "aggTrades": "1m", "klines": "trades"}[draft.kind]
    draft.stem, draft.asked = f"{draft.symbol}-{other}-2025-03-04", ()
    return Bad(draft.first() + 1, ("its name is that of",))


def _zip_of_two(draft: Draft) -> Bad:
    draft.container = "zip"
    draft.members.append((draft.rng.choice(["other.csv", "OTHER.CSV", "folder/other.tsv"]), b"7,1"))
    return Bad(None, ("must hold one .csv or .tsv file, this one has 2",))


def _spoiled_zip(draft: Draft) -> Bad:
    draft.container = "zip"
    rng = draft.rng
    draft.spoil = lambda content: content[: rng.randrange(4, len(content))]
    return Bad(None, ("cannot be read",))


def _encrypted_zip(draft: Draft) -> Bad:
    draft.container = "zip"

    def spoil(content: bytes) -> bytes:
        changed = bytearray(content)
        for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            at = content.find(magic)
            while at >= 0:
                changed[at + offset] |= 1
                at = content.find(magic, at + 4)
        return bytes(changed)

    draft.spoil = spoil
    return Bad(None, ("encrypted",))


def _zip_with_wrong_checksum(draft: Draft) -> Bad:
    draft.container = "zip"
    draft.members = []

    def spoil(content: bytes) -> bytes:
        changed = bytearray(content)
        for magic, offset in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
            changed[content.find(magic) + offset] ^= 0xFF
        return bytes(changed)

    draft.spoil = spoil
    return Bad(None, ("cannot be read", "CRC"))


def _gzip(draft: Draft) -> Bad:
    draft.container = "csv"
    draft.spoil = gzip.compress
    return Bad(None, ("gzip",))


_ALL = ("trades", "aggTrades", "klines")
FAULTS: dict[str, tuple[Callable[[Draft], Bad], tuple[str, ...]]] = {
    "damaged cell": (_damaged_cell, _ALL),
    "damaged cell, again": (_damaged_cell, _ALL),  # the commonest fault, and the one with the most ways
    "damaged cell, once more": (_damaged_cell, _ALL),
    "byte that is no text": (_byte_that_is_no_text, _ALL),
    "missing column": (_missing_column, _ALL),
    "extra column": (_extra_column, _ALL),
    "other delimiter": (_other_delimiter, _ALL),
    "line with another delimiter": (_line_with_other_delimiter, _ALL),
    "second header": (_second_header, _ALL),
    "header of another width": (_header_of_another_width, _ALL),
    "contradiction": (_contradiction, _ALL),
    "futures layout": (_futures_layout, ("trades", "aggTrades")),
    "open quote": (_open_quote, _ALL),
    "cut short": (_cut_short, _ALL),
    "UTF-16": (_utf_16, _ALL),
    "nothing": (_nothing, _ALL),
    "blank lines only": (_blank_lines_only, _ALL),
    "header only": (_header_only, _ALL),
    "void only": (_void_only, ("aggTrades",)),
    "range upside down": (_range_upside_down, ("aggTrades",)),
    "half void": (_half_void, ("aggTrades",)),
    "not on the minute": (_not_on_the_minute, ("klines",)),
    "longer than a minute": (_longer_than_a_minute, ("klines",)),
    "no symbol": (_no_symbol, _ALL),
    "other columns than its name": (_other_columns_than_its_name, _ALL),
    "zip of two": (_zip_of_two, _ALL),
    "truncated zip": (_spoiled_zip, _ALL),
    "encrypted zip": (_encrypted_zip, _ALL),
    "zip with a wrong checksum": (_zip_with_wrong_checksum, _ALL),
    "gzip": (_gzip, _ALL),
}
