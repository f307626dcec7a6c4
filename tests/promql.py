"""The metrics that a PromQL expression reads, found without a parser (promtool checks it), and those that exist."""

import re

import yaml

from tests.servers import ROOT

EXPORTED = ROOT / "tests" / "exported_metrics.yaml"

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


def exported() -> set[str]:
    """Return the metrics of our services, with the series of histograms, and those of other programs."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", (ROOT / "docs/reference/metrics.md").read_text(), re.MULTILINE)
    ours = {name for name, kind in rows if kind != "histogram"}
    ours |= {f"{name}_{part}" for name, kind in rows if kind == "histogram" for part in ("bucket", "sum", "count")}
    others = yaml.safe_load(EXPORTED.read_text())
    return ours | {name for names in others.values() for name in names}
