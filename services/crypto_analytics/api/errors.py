"""Errors in the exchange's form, ``{"code": …, "msg": …}``, with its codes and HTTP statuses.

Reference: https://developers.binance.com/docs/binance-spot-api-docs/errors.
"""

from collections.abc import Mapping
from typing import Any, Self

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from crypto_analytics.api import context
from crypto_analytics.api.database import QueryTooSlow, StoreUnavailable

_RETRY_SECONDS = "5"
# What a parameter may look like, in the words of the exchange's error -1100.
_LEGAL = {
    "symbol": r"^[\w\-._&&[^a-z]]{1,50}$",
    "symbols": r"^\[\"[\w\-._&&[^a-z]]{1,50}\"(,\"[\w\-._&&[^a-z]]{1,50}\"){0,}\]$",
}
_NUMBER = "^[0-9]{1,20}$"


class Error(BaseModel):
    """An error: the exchange's code, and what is wrong."""

    code: int
    msg: str


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "model": Error,
        "description": "The request is wrong (400), needs a token (401) or exceeds the limit (429)",
    },
    "5XX": {"model": Error, "description": "PostgreSQL or the object store does not answer in time (503)"},
}
"""How the OpenAPI document describes errors."""


class ApiError(Exception):
    """An error to answer with."""

    def __init__(self, status: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers

    @classmethod
    def missing(cls, name: str) -> Self:
        """A mandatory parameter is missing."""
        return cls(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")

    @classmethod
    def illegal(cls, name: str) -> Self:
        """A parameter has characters that it must not have."""
        legal = _LEGAL.get(name, _NUMBER)
        return cls(400, -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")

    @classmethod
    def invalid(cls, name: str) -> Self:
        """A parameter is out of its range."""
        return cls(400, -1130, f"Data sent for parameter '{name}' is not valid.")

    @classmethod
    def combination(cls) -> Self:
        """Parameters exclude one another."""
        return cls(400, -1128, "Combination of optional parameters invalid.")

    @classmethod
    def unknown_symbol(cls) -> Self:
        """There is no such symbol."""
        return cls(400, -1121, "Invalid symbol.")

    def response(self) -> Response:
        """Return the HTTP response."""
        body = msgspec.json.encode({"code": self.code, "msg": self.message})
        return Response(body, self.status, self.headers, "application/json")


def add_handlers(app: FastAPI) -> None:
    """Answer every error of ``app`` in the exchange's form."""

    @app.exception_handler(ApiError)
    async def api_error(request: Request, error: ApiError) -> Response:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def parameter_error(request: Request, error: RequestValidationError) -> Response:
        return of_parameter(error.errors()[0]).response()

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        message = f"{error.detail}: {request.method} {request.url.path}; /docs lists what there is"
        return ApiError(error.status_code, -1000, message, error.headers).response()

    @app.exception_handler(StoreUnavailable)
    async def store_error(request: Request, error: StoreUnavailable) -> Response:
        context.of(request).log.warning("store_unavailable", error=str(error), next="check PostgreSQL and POSTGRES_*")
        message = "Internal error; unable to process your request. Please try again."
        return ApiError(503, -1001, message, {"Retry-After": _RETRY_SECONDS}).response()

    @app.exception_handler(QueryTooSlow)
    async def slow_error(request: Request, error: QueryTooSlow) -> Response:
        context.of(request).log.warning("query_cancelled", path=request.url.path, next="raise API_QUERY_SECONDS")
        message = "Timeout waiting for response from backend server. Ask for fewer rows or a shorter interval."
        return ApiError(503, -1007, message, {"Retry-After": _RETRY_SECONDS}).response()


def of_parameter(problem: Mapping[str, Any]) -> ApiError:
    """Return the exchange's error for the first of FastAPI's problems with the parameters of a request."""
    name = str(problem["loc"][-1])
    if problem["type"] == "missing":
        return ApiError.missing(name)
    if problem.get("input") == "":
        return ApiError(400, -1105, f"Parameter '{name}' was empty.")
    if name == "interval":
        return ApiError(400, -1120, "Invalid interval.")
    is_negative = problem["type"] == "greater_than_equal" and str(problem["input"]).startswith("-")
    if is_negative or problem["type"] in {
        "int_parsing",
        "int_from_float",
        "int_parsing_size",
        "string_pattern_mismatch",
        "value_error",
    }:
        return ApiError.illegal(name)
    return ApiError.invalid(name)
