"""Keep the metrics of the platform's state and of the market up to date, by a read of PostgreSQL every few seconds.

It is read when /metrics is, and at most as often as API_STATE_SECONDS says. While PostgreSQL is away the metrics keep
their last values; ``platform_state_timestamp_seconds`` tells their age.
"""

import time
from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import nan

from prometheus_client import Gauge

from crypto_analytics.api import metrics, platform_state
from crypto_analytics.api.cached import Cached
from crypto_analytics.api.context import ApiContext
from crypto_analytics.api.database import QueryTooSlow, StoreUnavailable
from crypto_analytics.api.platform_state import SymbolState
from crypto_analytics.core.decimals import PRODUCT_SCALE, parse_scaled

_MINUTE_SECONDS = 60.0
_OBJECTS_AT_ONCE = 8


class StateMetrics:
    """Reads the state of ``context`` into the gauges."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._read = Cached(self._refresh, context.settings.API_STATE_SECONDS)
        self._largest = LargestTrades(context)

    async def update(self) -> None:
        """Bring the gauges up to date. An unreachable store is logged, and leaves them as they are."""
        try:
            await self._read.get()
        except (StoreUnavailable, QueryTooSlow) as error:
            self._context.log.warning(
                "state_unreadable", error=str(error), next="check PostgreSQL and the object store"
            )

    async def _refresh(self) -> None:
        known = await self._context.symbols.known()
        followed = [life.symbol for life in known.values() if life.status == "followed"]
        states = await platform_state.symbols(self._context, followed)
        _set_symbols(states)
        _set(metrics.NEWEST_TRADE_AGE, (
            (state.symbol, platform_state.seconds_since(self._context, state.changed_at))
            for state in states if state.changed_at
        ))  # fmt: skip
        built = await platform_state.last_batch(self._context)
        metrics.BATCH_LAST_SUCCESS.set(nan if built is None else built.timestamp())
        runs = await platform_state.gate_runs(self._context, 1)
        metrics.GATE_LAST_RUN.set(runs[0].run_time.timestamp() if runs else nan)
        metrics.GATE_SUCCEEDED.set(runs[0].succeeded if runs else nan)
        _set(metrics.RECONCILIATION_CANDLES, (await platform_state.reconciled(self._context) or {}).items())
        metrics.STATE_AGE.set_to_current_time()
        _set(metrics.LARGEST_TRADE, (await self._largest.of(followed)).items())


def _set_symbols(states: list[SymbolState]) -> None:
    _set(metrics.CANDLES_TODAY, ((state.symbol, state.candles_today) for state in states))
    _set(metrics.CANDLES_TODAY_COMPLETE, ((state.symbol, state.complete_today) for state in states))
    _set(metrics.GAPS_OPEN, ((state.symbol, state.gaps) for state in states))
    _set(metrics.NEWEST_CANDLE_CHANGE, (
        (state.symbol, state.changed_at.timestamp()) for state in states if state.changed_at
    ))  # fmt: skip
    _set(metrics.LAST_PRICE, ((state.symbol, state.last_price) for state in states if state.last_price))
    _set(metrics.VOLUME_1M, ((state.symbol, state.volume) for state in states))
    _set(metrics.QUOTE_VOLUME_1M, ((state.symbol, state.quote_volume) for state in states))
    _set(metrics.TRADE_COUNT_1M, ((state.symbol, state.trade_count) for state in states))


def _set(gauge: Gauge, values: Iterable[tuple[str, float | Decimal]]) -> None:
    """Set the values of ``gauge`` by its label, and forget all others."""
    gauge.clear()
    for label, value in values:
        gauge.labels(label).set(value)  # type: ignore[arg-type]  # the client makes it a float


class LargestTrades:
    """The largest trade of each symbol among those that were archived in the last minute, by price x quantity."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._seen: deque[tuple[float, str, str, float]] = deque()  # when, symbol, object, largest

    async def of(self, symbols: list[str]) -> dict[str, float]:
        """Return price x quantity by symbol; each object is read once. Raises StoreUnavailable, QueryTooSlow."""
        now = time.monotonic()
        while self._seen and now - self._seen[0][0] > _MINUTE_SECONDS:
            self._seen.popleft()
        since = datetime.now(UTC) - timedelta(seconds=_MINUTE_SECONDS)
        listed = await self._context.archive.listed_since(symbols, since, self._context.clock())
        known = {key for _, _, key, _ in self._seen}
        new = [(symbol, key) for symbol, key in listed if key not in known]
        for at in range(0, len(new), _OBJECTS_AT_ONCE):
            part = new[at : at + _OBJECTS_AT_ONCE]
            for (symbol, key), trades in zip(
                part, await self._context.archive.read([key for _, key in part]), strict=True
            ):
                quotes = (parse_scaled(trade.price) * parse_scaled(trade.quantity) for trade in trades)
                self._seen.append((now, symbol, key, max(quotes, default=0) / 10**PRODUCT_SCALE))
        largest = defaultdict(float, dict.fromkeys(symbols, 0.0))
        for _, symbol, _, quote in self._seen:
            largest[symbol] = max(largest[symbol], quote)
        return largest
