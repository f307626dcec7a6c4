"""The exchange's errors: ``{"code": …, "msg": …}`` and an HTTP status."""

from typing import Self


class ApiError(Exception):
    """An error to answer with; codes as in the exchange's errors.md."""

    def __init__(self, status: int, code: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after

    @classmethod
    def missing(cls, name: str) -> Self:
        """A mandatory parameter is missing."""
        return cls(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")

    @classmethod
    def illegal(cls, name: str) -> Self:
        """A parameter has characters that it must not have."""
        return cls(400, -1100, f"Illegal characters found in parameter '{name}'.")

    @classmethod
    def invalid(cls, name: str) -> Self:
        """A parameter is out of its range."""
        return cls(400, -1130, f"Data sent for parameter '{name}' is not valid.")

    @classmethod
    def invalid_symbol(cls) -> Self:
        """A symbol is not known."""
        return cls(400, -1121, "Invalid symbol.")

    @classmethod
    def scripted(cls, status: int, retry_after: int) -> Self:
        """A status that a scripted fault asks for."""
        code, message, waits = {
            429: (-1003, "Too much request weight used; please wait.", True),
            418: (-1003, "Way too much request weight used; your address is banned for a while.", True),
            451: (0, "Service unavailable from a restricted location.", False),
            500: (-1000, "An unknown error occurred while processing the request.", False),
        }[status]
        return cls(status, code, message, retry_after if waits else None)

    @classmethod
    def too_much_weight(cls, limit: int, retry_after: int) -> Self:
        """The weight limit is passed."""
        message = f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE."
        return cls(429, -1003, message, retry_after)
