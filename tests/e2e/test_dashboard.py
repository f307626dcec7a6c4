"""The dashboard: each chart has rows and is drawn, a wrong login is refused, and Superset's role cannot write."""

from collections.abc import Iterator

import httpx
import psycopg
import pytest

from ops.common.loopback import LOOPBACK
from ops.common.paths import STATE
from tests.dashboard import CHARTS, Superset, browser
from tests.e2e.platforms import Platform

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def base(platform: Platform) -> str:
    """Return Superset's URL, once gold and a result of the gate exist."""
    if not has_run(platform):
        platform.run_batch()
    return f"http://{LOOPBACK}:{platform.port('superset')}"


def has_run(platform: Platform) -> bool:
    """Return whether the batch has built gold and the gate has validated silver."""
    shown = "select exists (select from analytics.gold_klines_5m) and exists (select from quality_gate_runs)"
    with platform.postgres("reader") as connection:
        try:
            return connection.execute(shown).fetchone() == (True,)
        except psycopg.errors.UndefinedTable:
            return False


@pytest.fixture
def superset(base: str) -> Iterator[Superset]:
    found = Superset(base)
    yield found
    found.close()


def test_every_charts_query_returns_rows(platform: Platform, superset: Superset) -> None:
    assert superset.log_in(platform.password("superset", "admin")) == httpx.codes.OK
    rows = superset.rows()
    assert rows.keys() == CHARTS
    assert [name for name, its in rows.items() if not its] == []


def test_a_wrong_login_is_refused(superset: Superset) -> None:
    assert superset.log_in("not-the-password") == httpx.codes.UNAUTHORIZED
    assert superset.log_in("not-the-password", user="nobody") == httpx.codes.UNAUTHORIZED


def test_nobody_sees_a_thing_without_a_login(superset: Superset) -> None:
    assert superset.get("/api/v1/dashboard/crypto").status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.NOT_FOUND}
    assert superset.get("/api/v1/database/").status_code == httpx.codes.UNAUTHORIZED
    assert superset.get("/superset/dashboard/crypto/").status_code == httpx.codes.FOUND  # redirected to the login


def test_its_login_cannot_write(platform: Platform) -> None:
    """The role of the dashboard cannot write, even in a transaction declared read-write."""
    insert = "insert into quality_gate_runs values (now(), true, 1, 0, '{}', '')"
    for statement in (insert, "delete from analytics.gold_klines_5m", "create table analytics.x (y int)"):
        with platform.postgres("reader") as connection:
            connection.execute("set session characteristics as transaction read write")
            connection.commit()
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_a_browser_sees_every_chart(platform: Platform, base: str) -> None:
    with browser(base) as person:
        person.log_in(platform.password("superset", "admin"))
        person.sees(CHARTS)
        person.keep(STATE / f"dashboard-{platform.name}.png")
