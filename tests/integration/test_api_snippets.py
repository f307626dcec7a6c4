"""The snippets of docs/read-api.md run as they are, but for the address."""

import os
import re
import subprocess
import sys

import pytest

from ops.common import child_environment
from ops.setup.environments import python_of
from tests.integration.test_api_clients import Market, market  # noqa: F401  # a fixture
from tests.servers import ROOT

PAGE = (ROOT / "docs" / "read-api.md").read_text(encoding="utf-8")
SNIPPETS = dict(re.findall(r"<!-- tested: ([a-z-]+) -->\n```[a-z]+\n(.*?)```", PAGE, re.DOTALL))


def test_the_page_has_the_snippets() -> None:
    assert set(SNIPPETS) == {"curl", "ccxt", "python-binance", "pandas"}


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_snippet_prints_candles(market: tuple[Market, str], name: str) -> None:  # noqa: F811
    data, address = market
    programs = {"curl": "sh", "pandas": sys.executable}
    program = programs.get(name, str(python_of("clients")))
    done = subprocess.run(
        [program, "-c", SNIPPETS[name].replace("127.0.0.1:8000", address)],
        env=child_environment.plain(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(data.candles()[-1][4].normalize()) in done.stdout
