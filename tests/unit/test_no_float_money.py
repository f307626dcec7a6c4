"""Money is never a float in a column, a model or the services. (Another test reads the database's columns.)"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import ROOT

_FLOAT_TYPE = re.compile(r"\b(real|float[48]?|double precision|money)\b", re.IGNORECASE)
_COMMENT = re.compile(r"--.*$|/\*.*?\*/|\{#.*?#\}|'[^']*'", re.MULTILINE | re.DOTALL)
_MONEY = re.compile(
    r"(?:^|_)(price|prices|qty|quantity|quantities|volume|volumes|amount|open|high|low|close|vwap|quote)(?:_|$)"
)


def float_types(sql: str) -> list[str]:
    """Return the floating-point types in SQL or a model's YAML, outside of comments and string literals."""
    return _FLOAT_TYPE.findall(_COMMENT.sub("", sql))


def float_money(source: str) -> Iterator[str]:
    """Yield the places where Python code makes money a float: by a call of float(), or by an annotation."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="float"), args=arguments):
                if any(_names_money(argument) for argument in arguments):
                    yield f"line {node.lineno}: {ast.unparse(node)}"
            case (
                ast.AnnAssign(target=ast.Name(id=name), annotation=annotation)
                | ast.arg(arg=name, annotation=ast.expr() as annotation)
            ):
                # open and close are also verbs, with timeouts in seconds
                if _MONEY.search(name.lower()) and name not in ("open", "close") and _is_float(annotation):
                    yield f"line {node.lineno}: {ast.unparse(node)}"


def _names_money(node: ast.AST) -> bool:
    for part in ast.walk(node):
        name = part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""
        text = part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else ""
        if _MONEY.search(name.lower()) or _MONEY.search(text.lower()):
            return True
    return False


def _is_float(annotation: ast.expr) -> bool:
    return any(isinstance(part, ast.Name) and part.id == "float" for part in ast.walk(annotation))


@pytest.mark.parametrize("sql", ["open double precision not null", "data_type: float8", "close::real", "volume money"])
def test_a_float_column_is_found(sql: str) -> None:
    assert float_types(sql)


@pytest.mark.parametrize("sql", ["open numeric(27, 8)", "-- a real one", "'really real money'", "realtime_only"])
def test_another_column_is_not(sql: str) -> None:
    assert not float_types(sql)


@pytest.mark.parametrize("code", ["x = float(trade.price)", "quote_volume: float = 0", "def f(low: float): ..."])
def test_float_money_is_found(code: str) -> None:
    assert list(float_money(code))


@pytest.mark.parametrize("code", ["x = float(seconds)", "price: str", "def f(low: int): ...", "opened: float = 0"])
def test_another_number_is_not(code: str) -> None:
    assert not list(float_money(code))


def _files(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern))


def test_no_migration_or_model_has_a_float() -> None:
    files = _files("migrations/*.sql", "dbt/**/*.sql", "dbt/models/**/*.yml")
    sql = {path: path.read_text() for path in files}
    assert len(sql) > 5
    code = {path: re.sub(r"(?m)^\s*(-\s*)?(description|name):.*$", "", text) for path, text in sql.items()}
    assert {str(path.relative_to(ROOT)): found for path, text in code.items() if (found := float_types(text))} == {}


def test_no_service_makes_money_a_float() -> None:
    files = _files("services/**/*.py", "ge/**/*.py", "ops/common/**/*.py", "ops/local/**/*.py")
    assert len(files) > 20
    found = {str(path.relative_to(ROOT)): list(float_money(path.read_text())) for path in files}
    assert {name: lines for name, lines in found.items() if lines} == {}
