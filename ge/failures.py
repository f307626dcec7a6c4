"""Describe failed expectations: one line for each, with its counts and examples. Without I/O."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]

_NOT_SHOWN = {"batch_id", "mostly", "column", "column_list"}


def describe_failures(results: Sequence[Result]) -> list[str]:
    """Return a line for each failed expectation of ``results``, the JSON form of Great Expectations."""
    return [_describe(result) for result in results if not result["success"]]


def _describe(result: Result) -> str:
    config, found = result["expectation_config"], result.get("result", {})
    line = f"{config['type']}({', '.join(_arguments(config['kwargs']))})"
    error = _error(result.get("exception_info", {}))
    if error:
        return f"{line}: could not be checked: {error}"
    if "unexpected_count" in found:
        line += f": {found['unexpected_count']} of {found['element_count']} rows"
        examples = found.get("partial_unexpected_index_list") or found.get("partial_unexpected_list", [])
    elif "details" in found:
        line += f": {found['observed_value']} rows"
        examples = found["details"]["unexpected_rows"]
    else:
        return f"{line}: found {found.get('observed_value')}"
    return line + "".join(f"; {_example(example)}" for example in examples)


def _arguments(kwargs: Mapping[str, Any]) -> Iterator[str]:
    columns = kwargs.get("column_list") or [kwargs[name] for name in ("column",) if name in kwargs]
    yield from columns
    yield from (f"{name}={value}" for name, value in kwargs.items() if name not in _NOT_SHOWN)


def _example(example: Any) -> str:
    if isinstance(example, Mapping):
        return " ".join(f"{name}={value}" for name, value in example.items())
    return str(example)


def _error(info: Mapping[str, Any]) -> str:
    """Return the message of an expectation that could not be evaluated; several of its metrics can have failed."""
    if "raised_exception" in info:
        return str(info.get("exception_message") or "unknown error") if info["raised_exception"] else ""
    messages = {str(part["exception_message"]) for part in info.values() if part.get("raised_exception")}
    return "; ".join(sorted(messages))
