"""Names of the metrics in a PromQL expression, found without a parser: promtool checks the syntax."""

import re

_STRINGS = re.compile(r"\"[^\"]*\"|'[^']*'")
_SELECTORS = re.compile(r"\{[^}]*\}|\[[^\]]*\]")
_GROUPINGS = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME = re.compile(r"(?<![\w.$])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])")
_KEYWORDS = frozenset(
    {
        "and",
        "or",
        "unless",
        "bool",
        "offset",
        "group_left",
        "group_right",
        "inf",
        "Inf",
        "nan",
        "NaN",
        "by",
        "without",
        "on",
    }
)


def metrics(expression: str) -> set[str]:
    """Return the names of the metrics that ``expression`` reads."""
    plain = _GROUPINGS.sub(" ", _SELECTORS.sub(" ", _STRINGS.sub('""', expression)))
    plain = re.sub(r"\b\d[\w.]*", " ", plain)  # numbers and durations
    return set(_NAME.findall(plain)) - _KEYWORDS
