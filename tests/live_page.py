"""Check the live page in a headless browser, on any way of running the platform."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import psycopg
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from ops.setup import npm_files
from tests.chromium import chromium
from tests.servers import ROOT

SECONDS = 30.0
MOVE_SECONDS = 2.0
DESKTOP = (1280, 1000)
PHONE = (390, 844)
AXE = ROOT / "tests" / "axe.json"
_INSERT = """
insert into fact_realtime_trades_1m (
    symbol, open_time, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume,
    taker_buy_quote_volume, first_trade_id, last_trade_id
) values (%s, %s, 2, 3, 1, 2, 5, 10, 3, 1, 2, 10, 14)
"""
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
# Whether a canvas of the chart has at least two colours: a blank one has one, or none.
_IS_DRAWN = """
return [...document.querySelectorAll('#chart canvas')].some(canvas => {
  if (!canvas.width || !canvas.height) return false
  const pixels = new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)
  return new Set(pixels).size > 3
})
"""
_AXE = """
const done = arguments[arguments.length - 1]
axe.run(document, {runOnly: arguments[0]}).then(found => done(found.violations.map(
  rule => rule.id + ': ' + rule.help + ': ' + rule.nodes.map(node => node.html + ' ' + node.failureSummary).join('; ')
)), error => done([String(error)]))
"""


@contextmanager
def incomplete_candle(connection: psycopg.Connection, symbol: str) -> Iterator[str]:
    """Insert a candle of ten days ago with two missing trade ids, as a superuser; yield ``symbol``, and remove it."""
    opened = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=10)
    with connection.transaction():
        connection.execute(_INSERT, (symbol, opened))
    try:
        yield symbol
    finally:
        with connection.transaction():
            connection.execute(
                "delete from fact_realtime_trades_1m where symbol = %s and open_time = %s", (symbol, opened)
            )


def check_live_page(
    url: str,
    screenshots: Path | None = None,
    *,
    incomplete: str,
    token: str = "",
    trade: Callable[[], object] | None = None,
) -> None:
    """Open the page at ``url`` and check it as a person would, in light and dark, on a desktop and a phone.

    The chart is drawn, a new trade moves the last price within two seconds, an incomplete candle is marked and the
    keyboard leads to its reason, nothing is requested from another host, and the console has no error. axe-core checks
    names and contrast.

    Args:
        url: address of the api, as in http://127.0.0.1:8000.
        screenshots: folder to save pictures in.
        incomplete: a symbol that has an incomplete candle of an earlier day (:func:`incomplete_candle`).
        token: the API's token, if it has one.
        trade: makes a trade with a new price in the shown symbol; None: trades come by themselves.

    Raises:
        AssertionError: one of these is not so.
    """
    with chromium(*DESKTOP) as driver:
        page = LivePage(driver, url, token)
        page.show(DESKTOP, dark=False)
        page.open()
        page.check_drawn()
        page.check_moves(trade)
        page.check_accessible()
        page.keep(screenshots, "light")
        page.open(symbol=incomplete, interval="1d")
        page.check_incomplete()
        page.show(DESKTOP, dark=True)
        page.check_accessible()
        page.keep(screenshots, "dark")
        page.show(PHONE, dark=True)
        page.open()
        page.check_drawn()
        page.check_fits()
        page.check_accessible()
        page.keep(screenshots, "phone")
        page.check_quiet()


class LivePage:
    """The page in a browser; each check raises AssertionError."""

    def __init__(self, driver: webdriver.Chrome, url: str, token: str = "") -> None:
        self._driver = driver
        self._url = url.rstrip("/")
        login = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=self._url, headers=login, timeout=SECONDS, trust_env=False)
        self._requested: list[str] = []
        self._cdp("Network.enable")
        self._cdp("Network.setExtraHTTPHeaders", headers=login)

    def open(self, **shown: str) -> None:
        """Load the page, with the symbol and interval if named, and wait until it has candles."""
        self._driver.get(f"{self._url}/?{urlencode(shown)}")
        self.wait(lambda: int(self.chart("candles")) > 0, "candles are loaded")

    def show(self, size: tuple[int, int], *, dark: bool) -> None:
        """Change the size of the window and the colours of the system; a small window is a phone's."""
        width, height = size
        phone = size == PHONE
        self._cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._cdp("Emulation.setEmulatedMedia", features=[scheme])

    def check_drawn(self) -> None:
        """Wait until the chart has pixels of more than one colour, and the page says that it is live."""
        self.wait(lambda: self._driver.execute_script(_IS_DRAWN), "the chart is drawn")
        self.wait(lambda: any(map(str.isdigit, self.text("price"))), "the last price is shown")
        self.wait(lambda: "minutes of today complete" in self.text("strip"), "the strip says what is known")
        self.wait(lambda: bool(self._driver.find_elements(By.CSS_SELECTOR, "#health li")), "the hops are listed")
        assert self._driver.find_elements(By.CSS_SELECTOR, "#rows tr"), "the table of candles is empty"

    def check_moves(self, trade: Callable[[], object] | None = None) -> float:
        """Wait for a new last price of the API; return after how many seconds the page shows it, at most two."""
        symbol = self._driver.execute_script("return document.getElementById('symbol').value")
        before = self._newest(symbol)
        if trade is not None:
            trade()
        ends = time.monotonic() + SECONDS
        while (now := self._newest(symbol))["close"] == before["close"]:
            assert time.monotonic() < ends, f"no trade moved the price of {symbol} within {SECONDS} s"
        changed = time.monotonic()
        self.wait(lambda: self._shows(now), f"{symbol} at {now['close']} is shown", MOVE_SECONDS)
        return time.monotonic() - changed

    def check_incomplete(self) -> None:
        """Go to an incomplete candle by keyboard; its reason is shown beside it and spoken."""
        self.wait(lambda: int(self.chart("incomplete")) > 0, "an incomplete candle is marked")
        self._driver.find_element(By.ID, "chart").send_keys("n")
        self.wait(lambda: "Incomplete:" in self.text("tooltip"), "the reason is shown")
        spoken = self._driver.execute_script("return document.getElementById('spoken').textContent")
        assert "Incomplete:" in spoken
        assert "UTC, open " in spoken
        self._driver.find_element(By.ID, "chart").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
        self.wait(lambda: "Incomplete:" in self.text("tooltip"), "arrow keys move from candle to candle")

    def check_accessible(self) -> None:
        """Run axe-core's rules of WCAG 2.1 AA: names, roles, contrast."""
        (axe,) = npm_files.listed(AXE)
        self._driver.execute_script((npm_files.ensure([axe]) / axe.path).read_text(encoding="utf-8"))
        found = self._driver.execute_async_script(_AXE, _RULES)
        assert not found, "\n".join(found)

    def check_fits(self) -> None:
        """Compare the width of the page's content with the window's."""
        needed, there = self._driver.execute_script(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert needed <= there, f"the page is {needed} pixels wide, the window {there}"

    def check_quiet(self) -> None:
        """Look through all requests and the console of the browser since its start."""
        hosts = {urlsplit(address).netloc for address in self._requests()}
        assert hosts == {urlsplit(self._url).netloc}, f"the page requested from {hosts}"
        errors = [entry for entry in self._driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        assert not errors, errors

    def keep(self, folder: Path | None, name: str) -> None:
        """Save a screenshot where a folder is named."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            assert self._driver.save_screenshot(str(folder / f"live-page-{name}.png"))

    def chart(self, name: str) -> str:
        """Return the attribute data-``name`` of the chart's element."""
        return str(self._driver.find_element(By.ID, "chart").get_attribute(f"data-{name}"))

    def text(self, name: str) -> str:
        """Return the visible text of an element."""
        return self._driver.find_element(By.ID, name).text

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
        """Wait until a condition holds, and return its value.

        Raises:
            AssertionError: not in time; with what the page shows and the console's messages.
        """
        try:
            return WebDriverWait(self._driver, seconds, poll_frequency=0.05).until(lambda _: condition())
        except TimeoutException as error:
            seen = self._driver.find_element(By.TAG_NAME, "body").text
            console = self._driver.get_log("browser")
            raise AssertionError(
                f"not within {seconds} s: {what}; console: {console}; the page shows: {seen}"
            ) from error

    def _newest(self, symbol: str) -> dict[str, Any]:
        answer = self._client.get("/v1/candles", params={"symbol": symbol, "interval": "1m", "limit": 1})
        answer.raise_for_status()
        (candle,) = answer.json()
        return dict(candle)

    def _shows(self, candle: dict[str, Any]) -> bool:
        """Return whether the page shows a candle, or one that is newer."""
        newest = int(self.chart("newest"))
        return newest > candle["openTime"] or self.chart("close") == candle["close"]

    def _requests(self) -> list[str]:
        for entry in self._driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self._requested.append(message["params"]["request"]["url"])
        return [address for address in self._requested if urlsplit(address).scheme in ("http", "https", "ws", "wss")]

    def _cdp(self, command: str, **arguments: Any) -> None:
        self._driver.execute_cdp_cmd(command, arguments)
