"""Read the dashboard through Superset's REST API and in a headless browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from ops.platform.endpoints import DASHBOARD, SUPERSET_ADMIN
from tests.chromium import chromium
from tests.servers import ROOT

ASSETS = ROOT / "superset" / "assets"
CHARTS = {yaml.safe_load(path.read_text())["slice_name"] for path in (ASSETS / "charts").glob("*.yaml")}
# As wide as a small laptop's screen, and high enough for all charts: charts out of sight are not drawn.
WINDOW = (1280, 1600)
SECONDS = 60
# The state of each chart's element: drawn (a canvas that is not blank, a number, or rows), not drawn yet, or an error.
_STATES = """
const holders = [...document.querySelectorAll('.dashboard-component-chart-holder')]
return holders.filter(holder => !holder.closest('.dashboard-markdown')).map(holder => {
  const name = (holder.querySelector('[data-test="slice-header"], .header-title') || holder).innerText.split('\\n')[0]
  const alerts = holder.querySelectorAll('.ant-alert-error, [data-test="error-alert"]').length
  if (alerts || /Data error/.test(holder.innerText)) return [name, 'error: ' + holder.innerText.slice(0, 300)]
  if (holder.querySelector('.loading, [data-test="loading-indicator"]')) return [name, 'loading']
  const canvas = holder.querySelector('canvas')
  if (canvas) {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    return [name, pixels.some(value => value) ? 'drawn' : 'empty']
  }
  const rows = holder.querySelectorAll('tbody tr').length
  return [name, rows || holder.querySelector('.header-line') ? 'drawn' : 'empty']
})
"""


class Superset:
    """A client of Superset's REST API, to be closed at the end."""

    def __init__(self, base: str) -> None:
        self._client = httpx.Client(base_url=base, timeout=SECONDS, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def log_in(self, password: str, user: str = SUPERSET_ADMIN) -> int:
        """Log in; return the HTTP status."""
        body = {"username": user, "password": password, "provider": "db"}
        answer = self._client.post("/api/v1/security/login", json=body)
        if answer.status_code == httpx.codes.OK:
            self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return answer.status_code

    def get(self, path: str, **query: str) -> httpx.Response:
        """Return the answer to a GET."""
        return self._client.get(path, params=query)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return the query result of each chart, by the chart's name.

        Raises:
            AssertionError: the query of a chart fails.
        """
        found = {}
        for chart in self.get("/api/v1/chart/", q="(page_size:100)").json()["result"]:
            answer = self.get(f"/api/v1/chart/{chart['id']}/data/", force="true")
            assert answer.status_code == httpx.codes.OK, f"{chart['slice_name']}: {answer.text[:500]}"
            found[chart["slice_name"]] = answer.json()["result"][0]["data"]
        return found


class Browser:
    """A browser that shows the dashboard."""

    def __init__(self, driver: webdriver.Chrome, base: str) -> None:
        self._driver = driver
        self._base = base

    def log_in(self, password: str) -> None:
        """Open the dashboard, and log in if the page requires it."""
        self._driver.get(f"{self._base}{DASHBOARD}")
        self._wait(lambda: bool(self._driver.find_elements(By.ID, "username")), "the login page")
        self._driver.find_element(By.ID, "username").send_keys(SUPERSET_ADMIN)
        self._driver.find_element(By.ID, "password").send_keys(password)
        self._driver.find_element(By.CSS_SELECTOR, "button[type=submit]").click()

    def sees(self, charts: set[str]) -> None:
        """Wait until each of ``charts`` is drawn.

        Raises:
            AssertionError: a chart shows an error, or is not drawn in time.
        """
        self._wait(lambda: not self._driver.find_elements(By.ID, "username"), "the login is accepted")
        if urlsplit(self._driver.current_url).path != DASHBOARD:  # a login may lead to the front page
            self._driver.get(f"{self._base}{DASHBOARD}")
        self._wait(lambda: all(state == "drawn" for state in self._states(charts).values()), "the charts are drawn")

    def _states(self, charts: set[str]) -> dict[str, str]:
        states = dict.fromkeys(charts, "not there") | dict(self._driver.execute_script(_STATES))
        errors = {name: state for name, state in states.items() if state.startswith("error")}
        assert not errors, errors
        return states

    def keep(self, path: Path) -> None:
        """Save a screenshot."""
        path.parent.mkdir(parents=True, exist_ok=True)
        assert self._driver.save_screenshot(str(path))

    def _wait(self, condition: Any, what: str) -> None:
        try:
            WebDriverWait(self._driver, SECONDS, poll_frequency=0.2).until(lambda _: condition())
        except TimeoutException as error:
            raise AssertionError(f"not within {SECONDS} s: {what}; {self._shown()}") from error

    def _shown(self) -> str:
        """Return what a person would look at: the address, the charts, the beginning of the text, and the console."""
        charts = self._driver.execute_script(_STATES)
        text = self._driver.execute_script("return document.body.innerText").strip()[:300]
        console = [entry["message"][:300] for entry in self._driver.get_log("browser") if entry["level"] == "SEVERE"]
        return f"{self._driver.current_url} shows {charts or repr(text)}, and its console {console}"


@contextmanager
def browser(base: str) -> Iterator[Browser]:
    """Yield a new browser, and quit it at the end.

    Raises:
        AssertionError: no browser is installed.
    """
    with chromium(*WINDOW) as driver:
        yield Browser(driver, base)
