"""Encode WebSocket frames as bytes: a batch once for all connections with the same view, for a single write.

Formats: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and RFC 6455 section 5.2.
A server's frames are not masked, so the same bytes serve every client.
"""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import msgspec

from exchange_simulator.trades import AggregateTrade, AnyTrade, Trade

TEXT = 0x1
BINARY = 0x2
_FIN = 0x80
_SHORT = 126  # shorter payloads have their length in the second byte of the frame

AggregateEnd = Callable[[Trade], AggregateTrade | None]


class View(NamedTuple):
    """A connection's streams (as ``btcusdt@trade``), its envelope (combined or not) and its time unit."""

    streams: frozenset[str]
    combined: bool
    microseconds: bool


class Frames(NamedTuple):
    """A number of frames and their bytes."""

    data: bytes
    number: int


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return one unfragmented frame."""
    return _header(len(payload), opcode).encode("latin-1") + payload


def _header(length: int, opcode: int) -> str:
    """Return a frame's header as Latin-1 text: one character for each byte."""
    if length < _SHORT:
        return chr(_FIN | opcode) + chr(length)
    code, width = (126, 2) if length < 1 << 16 else (127, 8)
    return chr(_FIN | opcode) + chr(code) + length.to_bytes(width, "big").decode("latin-1")


_HEADERS = [_header(length, TEXT) for length in range(1024)]


class _Envelope(msgspec.Struct):
    data: msgspec.Raw


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


class _MessageParts(NamedTuple):
    """The constant parts of a stream's messages: before the event time, between it and the id, and after the trade.

    They are UTF-8 as Latin-1 text, one character for each byte, so that the length of a text is the frame's length.
    """

    begin: str
    symbol: str
    end: str


def _message_parts(symbol: str, kind: Literal["trade", "aggTrade"], view: View) -> _MessageParts | None:
    stream = f"{symbol.lower()}@{kind}"
    if stream not in view.streams:
        return None
    begin, end = (f'{{"stream":"{stream}","data":', "}}") if view.combined else ("", "}")
    key = "t" if kind == "trade" else "a"
    parts = (f'{begin}{{"e":"{kind}","E":', f',"s":"{symbol}","{key}":', end)
    return _MessageParts(*(part.encode().decode("latin-1") for part in parts))


class Encoder:
    """Encodes trades for one ``view``; ``aggregate_ended_by`` returns the aggregated trade that a trade completes."""

    def __init__(self, view: View, aggregate_ended_by: AggregateEnd) -> None:
        self._view = view
        self._aggregate_ended_by = aggregate_ended_by
        self._divisor = 1 if view.microseconds else 1000
        self._trade_parts: dict[str, _MessageParts | None] = {}
        self._aggregate_parts: dict[str, _MessageParts | None] = {}
        self._wants_aggregates = any(stream.endswith("@aggTrade") for stream in view.streams)

    def encode(self, trades: Iterable[AnyTrade]) -> Frames:
        """Return the frames of the trades that belong to the view's streams."""
        texts: list[str] = []
        for trade in trades:
            if isinstance(trade, AggregateTrade):
                self._add_aggregate(texts, trade)
                continue
            self._add_trade(texts, trade)
            if self._wants_aggregates:
                aggregate = self._aggregate_ended_by(trade)
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
            parts = self._trade_parts[trade.symbol]
        except KeyError:
            parts = self._trade_parts[trade.symbol] = _message_parts(trade.symbol, "trade", self._view)
        if parts is None:
            return
        if trade.message is not None:
            texts.append(self._verbatim(trade.message))
            return
        time = trade.time // self._divisor
        texts.append(
            f'{parts.begin}{time}{parts.symbol}{trade.id},"p":"{trade.price}","q":"{trade.quantity}","T":{time}'
            f',"m":{"true" if trade.buyer_is_maker else "false"}'
            f',"M":{"true" if trade.is_best_match else "false"}{parts.end}'
        )

    def _add_aggregate(self, texts: list[str], aggregate: AggregateTrade) -> None:
        try:
            parts = self._aggregate_parts[aggregate.symbol]
        except KeyError:
            parts = self._aggregate_parts[aggregate.symbol] = _message_parts(aggregate.symbol, "aggTrade", self._view)
        if parts is None:
            return
        if aggregate.message is not None:
            texts.append(self._verbatim(aggregate.message))
            return
        time = aggregate.time // self._divisor
        texts.append(
            f'{parts.begin}{time}{parts.symbol}{aggregate.id},"p":"{aggregate.price}","q":"{aggregate.quantity}"'
            f',"f":{aggregate.first_id},"l":{aggregate.last_id},"T":{time}'
            f',"m":{"true" if aggregate.buyer_is_maker else "false"}'
            f',"M":{"true" if aggregate.is_best_match else "false"}{parts.end}'
        )

    def _verbatim(self, message: str) -> str:
        """Return a recorded combined-stream message as Latin-1 text; for a raw stream without its envelope."""
        if self._view.combined:
            return message.encode().decode("latin-1")
        return bytes(_decode_envelope(message).data).decode("latin-1")
