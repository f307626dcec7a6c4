"""Parameters of requests, validated and documented by FastAPI. :mod:`.errors` has the exchange's errors for them."""

from datetime import timedelta
from typing import Annotated, Literal

import msgspec
from fastapi import Depends, Header, Query
from pydantic import AfterValidator
from starlette.requests import Request

from crypto_analytics.api.context import Context
from crypto_analytics.api.errors import ApiError
from crypto_analytics.api.intervals import INTERVALS, Calendar, parse_offset
from crypto_analytics.api.time_unit import MICROSECOND, MILLISECOND, Unit
from crypto_analytics.core.minutes import to_microseconds
from crypto_analytics.core.spot_market import is_symbol

DEFAULT_LIMIT = 500
MAX_LIMIT = 1000
_MAX_INTEGER = 2**63 - 1
_MAX_SYMBOLS = 1000

IntervalName = Literal["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]
assert set(IntervalName.__args__) == set(INTERVALS)  # type: ignore[attr-defined]


def _check_symbol(text: str) -> str:
    if not is_symbol(text):
        raise ValueError("not a symbol")
    return text


SymbolName = Annotated[
    str, AfterValidator(_check_symbol), Query(description="a symbol", examples=["BTCUSDT"], min_length=1)
]
Time = Annotated[int, Query(ge=0, le=_MAX_INTEGER, description="time in milliseconds, or in microseconds")]
TradeId = Annotated[int, Query(ge=0, le=_MAX_INTEGER, description="a trade id")]


def check_parameters(request: Request) -> None:
    """Refuse parameters that are sent twice or that the endpoint does not read.

    Raises:
        ApiError: as the exchange's -1101 and -1104.
    """
    sent = [name for name, _ in request.query_params.multi_items()]
    for name in sent:
        if sent.count(name) > 1:
            raise ApiError(400, -1101, f"Duplicate values for parameter '{name}'.")
    read = _names_of(request.scope["route"].dependant)
    known = sum(name in read for name in sent)
    if known < len(sent):
        if not read:
            raise ApiError(400, -1101, f"Too many parameters; expected '0' and received '{len(sent)}'.")
        message = f"Not all sent parameters were read; read '{known}' parameter(s) but was sent '{len(sent)}'."
        raise ApiError(400, -1104, message)


def _names_of(dependant: object) -> set[str]:
    names = {parameter.alias for parameter in dependant.query_params}  # type: ignore[attr-defined]
    return names.union(*map(_names_of, dependant.dependencies))  # type: ignore[attr-defined]


def _limit(
    limit: Annotated[
        int, Query(ge=1, le=_MAX_INTEGER, description=f"rows; more than {MAX_LIMIT} mean {MAX_LIMIT}")
    ] = DEFAULT_LIMIT,
) -> int:
    return min(limit, MAX_LIMIT)


Limit = Annotated[int, Depends(_limit)]


async def _symbol(context: Context, symbol: SymbolName) -> str:
    if symbol not in await context.symbols.known():
        raise ApiError.unknown_symbol()
    return symbol


Symbol = Annotated[str, Depends(_symbol)]
"""The mandatory symbol, which is known."""


class SymbolChoice(msgspec.Struct, frozen=True):
    """The symbols of ``symbol`` or ``symbols``, all if neither is sent; ``is_single``: the answer is no list."""

    names: list[str]
    is_single: bool = False


async def _symbols(
    context: Context,
    symbol: SymbolName | None = None,
    symbols: Annotated[str | None, Query(description='a JSON list, as in ["BTCUSDT","ETHUSDT"]')] = None,
) -> SymbolChoice:
    known = await context.symbols.known()
    if symbol is not None and symbols is not None:
        raise ApiError.combination()
    if symbol is not None:
        chosen = SymbolChoice([symbol], is_single=True)
    elif symbols is not None:
        chosen = SymbolChoice(_names_in(symbols))
    else:
        return SymbolChoice(list(known))
    if not known.keys() >= set(chosen.names):
        raise ApiError.unknown_symbol()
    return chosen


def _names_in(text: str) -> list[str]:
    try:
        names = msgspec.json.decode(text, type=list[str])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise ApiError.illegal("symbols") from error
    if not names:
        raise ApiError.missing("symbols")
    if len(names) > _MAX_SYMBOLS or not all(map(is_symbol, names)):
        raise ApiError.illegal("symbols")
    return list(dict.fromkeys(names))


Symbols = Annotated[SymbolChoice, Depends(_symbols)]


def _start(startTime: Time | None = None) -> int | None:  # noqa: N803  # the exchange's name
    return None if startTime is None else to_microseconds(startTime)


def _end(endTime: Time | None = None) -> int | None:  # noqa: N803  # the exchange's name
    if endTime is None:
        return None
    end = to_microseconds(endTime)
    return end if end == endTime else end + 999


Start = Annotated[int | None, Depends(_start)]
"""``startTime`` in microseconds."""
End = Annotated[int | None, Depends(_end)]
"""``endTime`` in microseconds: the last one of a millisecond."""


def _calendar(
    interval: Annotated[IntervalName, Query(description="length of a candle")],
    timeZone: Annotated[  # noqa: N803  # the exchange's name
        str, Query(description="offset from UTC from -12:00 to +14:00 at which intervals begin, as in 8 or -1:00")
    ] = "0",
) -> Calendar:
    offset = parse_offset(timeZone)
    if offset is None:
        raise ApiError.invalid("timeZone")
    return Calendar(INTERVALS[interval], offset // timedelta(microseconds=1))


Candles = Annotated[Calendar, Depends(_calendar)]


def _unit(
    x_mbx_time_unit: Annotated[str, Header(description="MICROSECOND: times in microseconds")] = "",
) -> Unit:
    return MICROSECOND if x_mbx_time_unit.upper() == "MICROSECOND" else MILLISECOND


TimeUnit = Annotated[Unit, Depends(_unit)]
