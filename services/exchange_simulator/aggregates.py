"""Which trade ends which aggregate: an ``@aggTrade`` event goes out with the last trade that it covers."""

from exchange_simulator.times import minute_of
from exchange_simulator.trades import Aggregate, Market, Trade


class AggregateEnds:
    """Looks up ``market``'s aggregates by their last trade, keeping the newest minute of each symbol at hand."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._minutes: dict[str, tuple[int, dict[int, Aggregate]]] = {}

    def __call__(self, trade: Trade) -> Aggregate | None:
        """Return the aggregate that ``trade`` is the last one of, None where it is not."""
        minute = minute_of(trade.time)
        known = self._minutes.get(trade.symbol)
        if known is None or known[0] != minute:
            aggregates = self._market.aggregates(trade.symbol, minute)
            known = minute, {aggregate.last_id: aggregate for aggregate in aggregates}
            self._minutes[trade.symbol] = known
        return known[1].get(trade.id)
