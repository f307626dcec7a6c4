"""Each trade counts once: what of a batch is new, given the ids already merged.

- A trade whose id is held, and an aggregated trade whose ids are all held, is a duplicate and is dropped.
- An aggregated trade of which some ids are held is split where the held trades are known from the same batch:
  all its trades share price, side and time, so what is left is the same aggregate less their quantities.
- Where they are not known, or what is left is not one run of ids, it is rejected: guessing would break a candle.
"""

from dataclasses import dataclass, field

import msgspec

from crypto_analytics.core.decimals import format_scaled
from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.core.trades import Trade, TradeColumns

PARTIAL_OVERLAP = "partial_overlap"


@dataclass(slots=True)
class Deduplicated:
    """``fresh`` trades to merge, how many trades were dropped as ``duplicates``, and ``rejected`` values."""

    fresh: TradeColumns
    fresh_ids: IdRanges
    duplicates: int = 0
    rejected: list[Trade] = field(default_factory=list)


def drop_known(trades: TradeColumns, known: IdRanges) -> Deduplicated:
    """Return what of ``trades`` (one symbol) is not in ``known``. The inputs stay as they are.

    The individual trades of the batch are taken first, then the aggregated ones, each in order of arrival.
    """
    ids = IdRanges.of_columns(trades.first_ids, trades.last_ids)
    if ids.count() == trades.covered() and ids.isdisjoint(known):
        return Deduplicated(trades, ids)  # the usual batch: all new, nothing twice
    return _one_by_one(trades, known)


def _one_by_one(trades: TradeColumns, known: IdRanges) -> Deduplicated:
    held = IdRanges(known)
    result = Deduplicated(TradeColumns(), IdRanges())
    fresh: list[Trade] = []
    individuals: dict[int, Trade] = {}
    rows = trades.rows()

    def take(trade: Trade) -> None:
        held.add(trade.first_id, trade.last_id)
        result.fresh_ids.add(trade.first_id, trade.last_id)
        fresh.append(trade)

    for trade in rows:
        if trade.first_id != trade.last_id:
            continue
        individuals.setdefault(trade.first_id, trade)
        if trade.first_id in held:
            result.duplicates += 1
        else:
            take(trade)
    for trade in rows:
        if trade.first_id == trade.last_id:
            continue
        if held.covers(trade.first_id, trade.last_id):
            result.duplicates += 1
        elif not held.overlaps(trade.first_id, trade.last_id):
            take(trade)
        elif (rest := _split(trade, held, individuals)) is not None:
            take(rest)
        else:
            result.rejected.append(trade)
    result.fresh = TradeColumns.of(fresh)
    return result


def _split(aggregated: Trade, held: IdRanges, individuals: dict[int, Trade]) -> Trade | None:
    """Return what is left of ``aggregated`` without the ids held, or None where that cannot be known exactly."""
    missing = held.missing(aggregated.first_id, aggregated.last_id)
    if len(missing) != 1:
        return None
    first, last = missing[0]
    quantity = aggregated.quantity
    for trade_id in (*range(aggregated.first_id, first), *range(last + 1, aggregated.last_id + 1)):
        known = individuals.get(trade_id)
        if known is None or known.price != aggregated.price or known.buyer_is_maker != aggregated.buyer_is_maker:
            return None
        quantity -= known.quantity
    if quantity <= 0:
        return None
    return aggregated._replace(
        first_id=first, last_id=last, quantity=quantity, raw=_relabel(aggregated.raw, first, last, quantity)
    )


def _relabel(raw: bytes, first: int, last: int, quantity: int) -> bytes:
    """Return the aggregated trade's value with other ids and quantity, so that the archive holds what was merged."""
    value = msgspec.json.decode(raw)
    return msgspec.json.encode({**value, "f": first, "l": last, "q": format_scaled(quantity)})
