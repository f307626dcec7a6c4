"""Parse the parameters of a REST request; invalid ones raise the exchange's own errors."""

import re
from collections.abc import Collection, Mapping

import msgspec

from exchange_simulator.api_errors import ApiError
from exchange_simulator.symbols import is_symbol
from exchange_simulator.times import MINUTE, to_microseconds

MAX_LIMIT = 1000
DEFAULT_LIMIT = 500
_INTEGER = re.compile(r"[0-9]{1,18}")
_UNITS = {"m": 1, "h": 60, "d": 24 * 60}
_INTERVALS = frozenset(("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"))


class Query:
    """The parameters of one request; ``known`` has the symbols of the market. Every method raises ApiError."""

    def __init__(self, parameters: Mapping[str, str], known: Collection[str]) -> None:
        self._parameters = parameters
        self._known = known

    def symbol(self) -> str:
        """Return the mandatory symbol."""
        symbol = self._parameters.get("symbol", "")
        if not symbol:
            raise ApiError.missing("symbol")
        return self._checked(symbol, "symbol")

    def symbols(self) -> list[str] | None:
        """Return the symbols of ``symbol`` or of the JSON list ``symbols``; None where neither is given."""
        if "symbol" in self._parameters and "symbols" in self._parameters:
            raise ApiError(400, -1128, "Combination of optional parameters invalid.")
        if "symbol" in self._parameters:
            return [self.symbol()]
        if "symbols" not in self._parameters:
            return None
        try:
            symbols = msgspec.json.decode(self._parameters["symbols"], type=list[str])
        except msgspec.DecodeError as error:
            raise ApiError.illegal("symbols") from error
        if not symbols:
            raise ApiError.missing("symbols")
        return [self._checked(symbol, "symbols") for symbol in symbols]

    def limit(self) -> int:
        """Return the wanted number of rows, reduced to the exchange's limit as the exchange does."""
        limit = self.integer("limit")
        if limit is None:
            return DEFAULT_LIMIT
        if limit < 1:
            raise ApiError.invalid("limit")
        return min(limit, MAX_LIMIT)

    def integer(self, name: str) -> int | None:
        """Return a non-negative integer, None where it is not given."""
        text = self._parameters.get(name)
        if text is None:
            return None
        if _INTEGER.fullmatch(text) is None:
            raise ApiError.illegal(name)
        return int(text)

    def start(self) -> int | None:
        """Return ``startTime`` in microseconds; the request may give it in milliseconds or in microseconds."""
        time = self.integer("startTime")
        return None if time is None else to_microseconds(time)

    def end(self) -> int | None:
        """Return ``endTime`` in microseconds; of a time in milliseconds, the last microsecond of that millisecond."""
        time = self.integer("endTime")
        if time is None:
            return None
        microseconds = to_microseconds(time)
        return microseconds if microseconds == time else microseconds + 999

    def interval(self) -> int:
        """Return the length of a kline in microseconds."""
        text = self._parameters.get("interval", "")
        if not text:
            raise ApiError.missing("interval")
        if text not in _INTERVALS:
            raise ApiError(400, -1120, "Invalid interval.")
        return int(text[:-1]) * _UNITS[text[-1]] * MINUTE

    def _checked(self, symbol: str, name: str) -> str:
        if not is_symbol(symbol):
            raise ApiError.illegal(name)
        if symbol not in self._known:
            raise ApiError.invalid_symbol()
        return symbol
