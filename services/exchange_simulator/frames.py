"""WebSocket frames as bytes. A batch is encoded once for all connections with the same view, and joined to one write.

Formats: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and RFC 6455 section 5.2.
A server's frames are not masked, so the same bytes serve every client.
"""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import msgspec

from exchange_simulator.trades import Aggregate, Record, Trade

TEXT = 0x1
BINARY = 0x2
_FIN = 0x80
_SHORT = 126  # up to here the second byte of a frame is its length

AggregateEnd = Callable[[Trade], Aggregate | None]


class View(NamedTuple):
    """What a connection wants: streams as ``btcusdt@trade``, in the combined envelope or not, and the time unit."""

    streams: frozenset[str]
    combined: bool
    microseconds: bool


class Frames(NamedTuple):
    """So many frames, one after the other."""

    data: bytes
    number: int


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return one unfragmented frame."""
    return _header(len(payload), opcode).encode("latin-1") + payload


def _header(length: int, opcode: int) -> str:
    """Return a frame's header, each byte as the character of that number."""
    if length < _SHORT:
        return chr(_FIN | opcode) + chr(length)
    code, width = (126, 2) if length < 1 << 16 else (127, 8)
    return chr(_FIN | opcode) + chr(code) + length.to_bytes(width, "big").decode("latin-1")


_HEADERS = [_header(length, TEXT) for length in range(1024)]


class _Envelope(msgspec.Struct):
    data: msgspec.Raw


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


class _Layout(NamedTuple):
    """The constant text of a stream's messages: before the event time, between it and the id, and at the end.

    Each byte of its UTF-8 is the character of that number, so that a text's length is the frame's.
    """

    begin: str
    symbol: str
    end: str


def _layout(symbol: str, kind: Literal["trade", "aggTrade"], view: View) -> _Layout | None:
    stream = f"{symbol.lower()}@{kind}"
    if stream not in view.streams:
        return None
    begin, end = (f'{{"stream":"{stream}","data":', "}}") if view.combined else ("", "}")
    key = "t" if kind == "trade" else "a"
    parts = (f'{begin}{{"e":"{kind}","E":', f',"s":"{symbol}","{key}":', end)
    return _Layout(*(part.encode().decode("latin-1") for part in parts))


class Encoder:
    """Encodes records for one ``view``; ``aggregate_ended_by`` tells the aggregate whose last trade a trade is."""

    def __init__(self, view: View, aggregate_ended_by: AggregateEnd) -> None:
        self._view = view
        self._aggregate_ended_by = aggregate_ended_by
        self._divisor = 1 if view.microseconds else 1000
        self._trade_layouts: dict[str, _Layout | None] = {}
        self._aggregate_layouts: dict[str, _Layout | None] = {}
        self._wants_aggregates = any(stream.endswith("@aggTrade") for stream in view.streams)

    def encode(self, records: Iterable[Record]) -> Frames:
        """Return the frames of those records that the view has streams for."""
        texts: list[str] = []
        for record in records:
            if isinstance(record, Aggregate):
                self._add_aggregate(texts, record)
                continue
            self._add_trade(texts, record)
            if self._wants_aggregates:
                aggregate = self._aggregate_ended_by(record)
                if aggregate is not None:
                    self._add_aggregate(texts, aggregate)
        pieces = [
            piece
            for text in texts
            for piece in (_HEADERS[len(text)] if len(text) < len(_HEADERS) else _header(len(text), TEXT), text)
        ]
        return Frames("".join(pieces).encode("latin-1"), len(texts))

    def _add_trade(self, texts: list[str], trade: Trade) -> None:
        try:
            layout = self._trade_layouts[trade.symbol]
        except KeyError:
            layout = self._trade_layouts[trade.symbol] = _layout(trade.symbol, "trade", self._view)
        if layout is None:
            return
        if trade.message is not None:
            texts.append(self._verbatim(trade.message))
            return
        time = trade.time // self._divisor
        texts.append(
            f'{layout.begin}{time}{layout.symbol}{trade.id},"p":"{trade.price}","q":"{trade.quantity}","T":{time}'
            f',"m":{"true" if trade.buyer_is_maker else "false"}'
            f',"M":{"true" if trade.is_best_match else "false"}{layout.end}'
        )

    def _add_aggregate(self, texts: list[str], aggregate: Aggregate) -> None:
        try:
            layout = self._aggregate_layouts[aggregate.symbol]
        except KeyError:
            layout = self._aggregate_layouts[aggregate.symbol] = _layout(aggregate.symbol, "aggTrade", self._view)
        if layout is None:
            return
        if aggregate.message is not None:
            texts.append(self._verbatim(aggregate.message))
            return
        time = aggregate.time // self._divisor
        texts.append(
            f'{layout.begin}{time}{layout.symbol}{aggregate.id},"p":"{aggregate.price}","q":"{aggregate.quantity}"'
            f',"f":{aggregate.first_id},"l":{aggregate.last_id},"T":{time}'
            f',"m":{"true" if aggregate.buyer_is_maker else "false"}'
            f',"M":{"true" if aggregate.is_best_match else "false"}{layout.end}'
        )

    def _verbatim(self, message: str) -> str:
        """Return a recorded combined-stream message, for a raw stream without its envelope, a character a byte."""
        if self._view.combined:
            return message.encode().decode("latin-1")
        return bytes(_decode_envelope(message).data).decode("latin-1")
