"""The exchange's one-minute klines."""

from typing import Annotated

import msgspec

# A plain decimal that NUMERIC(_, 8) holds without rounding; the quality gate rejects negative ones.
Decimal8 = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,19}(\.[0-9]{1,8})?$")]


class Kline(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The twelve columns of a kline: prices and volumes as the decimal strings received, times in microseconds."""

    open_time: int
    open: Decimal8
    high: Decimal8
    low: Decimal8
    close: Decimal8
    volume: Decimal8
    close_time: int
    quote_volume: Decimal8
    trade_count: int
    taker_buy_volume: Decimal8
    taker_buy_quote_volume: Decimal8
    ignore: str
