"""Play back: read trades from the play when they are due, apply scripted faults, and send them to all connections."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from random import Random
from typing import Literal

import structlog

from exchange_simulator import metrics
from exchange_simulator.connections import Connection, Hub
from exchange_simulator.faults import (
    MAX_DUPLICATES,
    ArmedRestFaults,
    Drop,
    Duplicate,
    Fault,
    Gap,
    Malformed,
    Reorder,
    RestSlow,
    RestStatus,
    ServerShutdown,
    Stall,
    name_of,
)
from exchange_simulator.hidden_trades import HiddenTrades
from exchange_simulator.malformed import malformed_frames, shutdown_frame
from exchange_simulator.market import Play
from exchange_simulator.pacing import BATCH, Pace
from exchange_simulator.play_reader import PlayReader
from exchange_simulator.trades import AnyTrade

_time = attrgetter("time")


@dataclass(slots=True)
class StreamedRange:
    """The lowest and the highest trade id and trade time (microseconds) of a symbol that were streamed."""

    first_id: int
    last_id: int
    first_time: int
    last_time: int


class Playback:
    """Plays one play for all clients. ``clock`` (microseconds) is the time of the last trade that was played.

    ``position`` counts the trades read from the play: streamed ones (``trades_sent``, each once), those left out by a
    gap, and those held back to be reordered.
    """

    def __init__(self, play: Play, hub: Hub, pace: Pace, hidden: HiddenTrades, rest_faults: ArmedRestFaults) -> None:
        self.play = play
        self.state: Literal["waiting", "playing", "done"] = "waiting"
        self.clock = play.starts_at
        self.position = 0
        self.trades_sent = 0
        self.trades_swallowed = 0
        self.duplicates_sent = 0
        self.progress: dict[str, StreamedRange] = {}
        self.pending: list[Fault] = []
        self._hub = hub
        self._pace = pace
        self._hidden = hidden
        self._rest_faults = rest_faults
        self._recent: deque[AnyTrade] = deque(maxlen=MAX_DUPLICATES)
        self._gap_left = 0
        self._gap: Gap | None = None
        self._held: list[AnyTrade] = []
        self._hold_left = 0
        self._shuffle = Random(0)
        self._closings: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("simulator")

    def add_faults(self, faults: Iterable[Fault]) -> None:
        """Schedule ``faults`` and apply those that are due. A stream fault is not due before the play has started."""
        self.pending += faults
        self._apply_due()

    async def run(self) -> None:
        """Play from the first client's connection to the end of the play."""
        await self._hub.has_connection()
        cursor = await self._start()
        self.state = "playing"
        self._log.info("play_started", ends_at=self.play.ends_at, total=self.play.total)
        self._apply_due()
        while (upcoming := await cursor.peek()) is not None:
            due = await self._pace.due(upcoming, self.position)
            self._play(cursor.take(min(due.trades, self._before_next_fault()), due.latest))
            self._apply_due()
            await asyncio.sleep(0)
        self._release_held()
        await self._pace.end(self.play.ends_at)
        if self.play.ends_at is not None:
            self.clock = max(self.clock, self.play.ends_at)
        self.state = "done"
        self._log.info("play_finished", trades_sent=self.trades_sent, frames_sent=self._hub.frames_sent)

    async def _start(self) -> PlayReader:
        """Start the clock when the first trades are generated; in real time the trades until then count as history."""
        cursor = PlayReader(self.play.parts(self._pace.begin(self.play.starts_at)))
        await cursor.peek()
        self.clock = self._pace.begin(self.play.starts_at)
        while (upcoming := await cursor.peek()) is not None and upcoming.time <= self.clock:
            cursor.take(BATCH, self.clock)
        return cursor

    def _before_next_fault(self) -> int:
        """Return the number of trades before the next fault is due."""
        ahead = [fault.at - self.position for fault in self.pending if fault.at is not None]
        return max(1, min(ahead, default=1 << 30))

    def _play(self, trades: list[AnyTrade]) -> None:
        self.position += len(trades)
        if self._gap_left:
            trades = self._leave_out(trades)
        if self._hold_left:
            trades = self._hold(trades)
        self._stream(trades)

    def _leave_out(self, trades: list[AnyTrade]) -> list[AnyTrade]:
        """Leave the trades of a gap out of the stream; return the others."""
        left_out, rest = trades[: self._gap_left], trades[self._gap_left :]
        self._gap_left -= len(left_out)
        self.trades_swallowed += len(left_out)
        self.clock = max(self.clock, *map(_time, left_out))
        if self._gap is not None and self._gap.rest_missing:
            for trade in left_out:
                self._hidden.hide(trade, self._gap.rest_missing)
        return rest

    def _hold(self, trades: list[AnyTrade]) -> list[AnyTrade]:
        """Hold back the trades to reorder until all of them were read; return the others."""
        self._held += trades[: self._hold_left]
        rest = trades[self._hold_left :]
        self._hold_left -= len(trades) - len(rest)
        if not self._hold_left:
            self._release_held()
        return rest

    def _release_held(self) -> None:
        held, self._held, self._hold_left = self._held, [], 0
        self._shuffle.shuffle(held)
        self._stream(held)

    def _stream(self, trades: Sequence[AnyTrade]) -> None:
        if not trades:
            return
        self._hub.send(trades)
        self.clock = max(self.clock, *map(_time, trades))
        self.trades_sent += len(trades)
        metrics.TRADES_STREAMED.inc(len(trades))
        self._recent.extend(trades)
        for trade in trades:
            known = self.progress.get(trade.symbol)
            if known is None:
                self.progress[trade.symbol] = StreamedRange(trade.first_id, trade.last_id, trade.time, trade.time)
                continue
            known.first_id = min(known.first_id, trade.first_id)
            known.last_id = max(known.last_id, trade.last_id)
            known.first_time = min(known.first_time, trade.time)
            known.last_time = max(known.last_time, trade.time)

    def _apply_due(self) -> None:
        due = [fault for fault in self.pending if self._is_due(fault)]
        if due:
            self.pending = [fault for fault in self.pending if not self._is_due(fault)]
            for fault in sorted(due, key=lambda fault: fault.at or 0):
                self._apply(fault)

    def _is_due(self, fault: Fault) -> bool:
        if isinstance(fault, RestStatus | RestSlow):
            return (fault.at or 0) <= self.position
        return self.state != "waiting" and (fault.at or 0) <= self.position

    def _apply(self, fault: Fault) -> None:
        self._log.info("fault_applied", fault=name_of(fault), position=self.position, connections=len(self._hub))
        metrics.FAULTS.labels(name_of(fault)).inc()
        match fault:
            case Drop() | Stall() | Malformed() | ServerShutdown():
                self._apply_to_connections(fault)
            case Duplicate():
                again = list(self._recent)[-fault.count :]
                self.duplicates_sent += len(again)
                self._hub.send(again)
            case Reorder():
                self._hold_left += fault.count
                self._shuffle = Random(fault.seed)
            case Gap():
                self._gap_left += fault.count
                self._gap = fault
            case RestStatus() | RestSlow():
                self._rest_faults.arm(fault)

    def _apply_to_connections(self, fault: Drop | Stall | Malformed | ServerShutdown) -> None:
        """Apply a fault that affects the open connections and no trade."""
        match fault:
            case Drop():
                for connection in self._hub.open_now():
                    connection.abort()
            case Stall():
                for connection in self._hub.open_now():
                    connection.stall(fault.seconds)
            case Malformed():
                self._hub.send_frames(lambda view: malformed_frames(fault, view, self.clock))
            case ServerShutdown():
                self._hub.send_frames(lambda view: shutdown_frame(view, self.clock))
                closing = asyncio.create_task(_close_later(self._hub.open_now(), fault.close_after))
                self._closings.add(closing)
                closing.add_done_callback(self._closings.discard)


async def _close_later(connections: Sequence[Connection], seconds: float) -> None:
    await asyncio.sleep(seconds)
    await asyncio.gather(*(connection.close("server shutdown") for connection in connections))
