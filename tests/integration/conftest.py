"""The fixture that several integration tests share."""

from collections.abc import Iterator

import pytest

from tests.api_market import Market
from tests.servers import Servers


@pytest.fixture(scope="module")
def market(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """Yield a small market in a database of its own."""
    with servers.database() as database:
        yield Market(database, tmp_path_factory.mktemp("objects"))
