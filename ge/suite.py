"""The expectations that the rows of silver must meet before gold is built."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

EXAMPLES = 5
KEY = ("symbol", "open_time")
PRICES = ("open", "high", "low", "close")
VOLUMES = ("volume", "quote_volume", "trade_count", "taker_buy_volume", "taker_buy_quote_volume")
EXACT_TYPES = {
    **dict.fromkeys((*PRICES, "vwap"), "NUMERIC(27, 8)"),
    **dict.fromkeys(("volume", "taker_buy_volume"), "NUMERIC(38, 8)"),
    **dict.fromkeys(("quote_volume", "taker_buy_quote_volume"), "NUMERIC(54, 16)"),
}


class ExpectNoRows(gxe.UnexpectedRowsExpectation):
    """A query for wrong rows returns none. A few of the rows are reported, as by the other expectations."""

    def _validate(self, metrics: dict[str, Any], *_: object, **__: object) -> Any:
        rows = metrics["unexpected_rows_query.table"][:EXAMPLES]
        count = metrics["unexpected_rows_query.row_count"]
        return {"success": count == 0, "result": {"observed_value": count, "details": {"unexpected_rows": rows}}}


class ExpectOhlcInOrder(ExpectNoRows):
    """Prices are positive, and open and close are within low..high."""

    description: str = "low <= open, close <= high, and low > 0"
    unexpected_rows_query: str = """
        select symbol, open_time, open, high, low, close from {batch}
        where not (0 < low and low <= open and low <= close and open <= high and close <= high)
    """


class ExpectTakerVolumesWithinTotals(ExpectNoRows):
    """Taker volumes are not larger than the totals."""

    description: str = "taker_buy_volume <= volume and taker_buy_quote_volume <= quote_volume"
    unexpected_rows_query: str = """
        select symbol, open_time, volume, taker_buy_volume, quote_volume, taker_buy_quote_volume from {batch}
        where not (taker_buy_volume <= volume and taker_buy_quote_volume <= quote_volume)
    """


class ExpectOpenTimeOnTheMinute(ExpectNoRows):
    """open_time is a whole UTC minute."""

    description: str = "open_time is a whole minute"
    unexpected_rows_query: str = """
        select symbol, open_time from {batch}
        where date_trunc('minute', open_time, 'UTC') <> open_time
    """


class ExpectSymbolKnown(ExpectNoRows):
    """The symbol is followed or retired; candles of a retired symbol are kept."""

    description: str = "symbol is in the table symbols"
    unexpected_rows_query: str = """
        select symbol, open_time from {batch}
        where symbol not in (select symbol from public.symbols)
    """


def expectations(as_of: datetime) -> Iterator[Expectation]:
    """Yield all expectations; no candle may open after ``as_of``."""
    for column in (*KEY, "source", *PRICES, *VOLUMES):
        yield gxe.ExpectColumnValuesToNotBeNull(column=column)
    for column, exact_type in EXACT_TYPES.items():
        yield gxe.ExpectColumnValuesToBeOfType(column=column, type_=exact_type)
    for column in VOLUMES:
        yield gxe.ExpectColumnValuesToBeBetween(column=column, min_value=0)
    yield ExpectSymbolKnown()
    yield gxe.ExpectColumnValuesToBeInSet(column="source", value_set=["official", "realtime"])
    yield gxe.ExpectColumnValuesToBeBetween(column="open_time", max_value=as_of)
    yield gxe.ExpectCompoundColumnsToBeUnique(column_list=list(KEY))
    yield ExpectOpenTimeOnTheMinute()
    yield ExpectOhlcInOrder()
    yield ExpectTakerVolumesWithinTotals()
