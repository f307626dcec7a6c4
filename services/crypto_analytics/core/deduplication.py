"""Deduplicate a batch of trades against the trade ids already merged, so that each trade counts once.

- A trade whose id is merged, or an aggregated trade whose ids are all merged, is a duplicate and is dropped.
- An aggregated trade with some merged ids is split if the merged trades are individual trades of the same batch: all
  trades of an aggregate share price, side and time, so the remainder is the aggregate less their quantities.
- It is rejected if those trades are not in the batch, or if the remaining ids are not contiguous: an estimate would
  make the candle wrong.
"""

from dataclasses import dataclass, field

import msgspec

from crypto_analytics.core.decimals import format_scaled
from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.core.trades import Trade, TradeColumns

PARTIAL_OVERLAP = "partial_overlap"


@dataclass(slots=True)
class Deduplicated:
    """The ``fresh`` trades to merge, the number of ``duplicates`` dropped, and the ``rejected`` trades."""

    fresh: TradeColumns
    fresh_ids: IdRanges
    duplicates: int = 0
    rejected: list[Trade] = field(default_factory=list)


def deduplicate(trades: TradeColumns, merged: IdRanges) -> Deduplicated:
    """Return the trades of one symbol whose ids are not in ``merged``. The inputs are not modified.

    The individual trades of the batch take precedence over the aggregated ones, each in order of arrival.
    """
    ids = IdRanges.of_columns(trades.first_ids, trades.last_ids)
    if ids.count() == trades.id_count() and ids.isdisjoint(merged):
        return Deduplicated(trades, ids)  # the common case: no id is merged or repeated
    return _deduplicate_each(trades, merged)


def _deduplicate_each(trades: TradeColumns, merged: IdRanges) -> Deduplicated:
    seen = IdRanges(merged)
    result = Deduplicated(TradeColumns(), IdRanges())
    fresh: list[Trade] = []
    individuals: dict[int, Trade] = {}
    rows = trades.rows()

    def accept(trade: Trade) -> None:
        seen.add(trade.first_id, trade.last_id)
        result.fresh_ids.add(trade.first_id, trade.last_id)
        fresh.append(trade)

    for trade in rows:
        if trade.first_id != trade.last_id:
            continue
        individuals.setdefault(trade.first_id, trade)
        if trade.first_id in seen:
            result.duplicates += 1
        else:
            accept(trade)
    for trade in rows:
        if trade.first_id == trade.last_id:
            continue
        if seen.covers(trade.first_id, trade.last_id):
            result.duplicates += 1
        elif not seen.overlaps(trade.first_id, trade.last_id):
            accept(trade)
        elif (rest := _split(trade, seen, individuals)) is not None:
            accept(rest)
        else:
            result.rejected.append(trade)
    result.fresh = TradeColumns.of(fresh)
    return result


def _split(aggregated: Trade, seen: IdRanges, individuals: dict[int, Trade]) -> Trade | None:
    """Return ``aggregated`` less the trades already seen, or None if the remainder cannot be computed exactly."""
    missing = seen.missing(aggregated.first_id, aggregated.last_id)
    if len(missing) != 1:
        return None
    first, last = missing[0]
    quantity = aggregated.quantity
    for trade_id in (*range(aggregated.first_id, first), *range(last + 1, aggregated.last_id + 1)):
        trade = individuals.get(trade_id)
        if trade is None or trade.price != aggregated.price or trade.buyer_is_maker != aggregated.buyer_is_maker:
            return None
        quantity -= trade.quantity
    if quantity <= 0:
        return None
    return aggregated._replace(
        first_id=first, last_id=last, quantity=quantity, raw=_rewrite(aggregated.raw, first, last, quantity)
    )


def _rewrite(raw: bytes, first: int, last: int, quantity: int) -> bytes:
    """Return the aggregated trade's JSON with new ids and quantity, so that the archive contains what was merged."""
    value = msgspec.json.decode(raw)
    return msgspec.json.encode({**value, "f": first, "l": last, "q": format_scaled(quantity)})
