"""The gate's Data Docs and history: published to S3, complete at every moment, and without effect on the result."""

import json
import logging
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from minio import Minio
from moto.server import ThreadedMotoServer
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from crypto_analytics.jobs.buckets.access import read
from ops.local.batch import PAGE_FILES
from ops.setup import dbt_docs, npm_files
from tests.batch_run import Batch, kline, put_official
from tests.chromium import chromium
from tests.servers import ROOT, Servers

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
BUCKET = "data-docs"
KEYS = {"S3_ACCESS_KEY": "gate", "S3_SECRET_KEY": "a-secret-of-the-store"}
_LINK = re.compile(r"'(validations/[^']+\.html)'")


@pytest.fixture(scope="module")
def batch(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batch]:
    with servers.database() as database:
        batch = Batch(database, tmp_path_factory.mktemp("data_docs"))
        with database.connect("writer") as writer:
            put_official(writer, *(kline(START + timedelta(minutes=number), 1000 + number) for number in range(5)))
        batch.dbt("run", "--select", "tag:silver")
        yield batch


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Yield the address of an S3 service in this process, with the declared anonymous reads of the bucket."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client(f"{host}:{port}").make_bucket(BUCKET)
    declared = read(ROOT / "charts" / "minio" / "files" / "access.yaml")
    client(f"{host}:{port}").set_bucket_policy(BUCKET, json.dumps(declared.bucket_policy(BUCKET)))
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # one log line per request of the reader
    yield f"{host}:{port}"
    server.stop()


def client(endpoint: str) -> Minio:
    keys = {"access_key": KEYS["S3_ACCESS_KEY"], "secret_key": KEYS["S3_SECRET_KEY"]}
    return Minio(endpoint, **keys, secure=False, region="us-east-1")


def settings(endpoint: str, **changes: str) -> dict[str, str]:
    return {"OBJECT_STORE": "s3", "S3_ENDPOINT": endpoint, "S3_SECURE": "false", **KEYS, **changes}


def history(batch: Batch) -> list[tuple[Any, ...]]:
    with batch.database.connect("reader") as reader:
        return reader.execute("select succeeded, docs_path from quality_gate_runs order by run_time").fetchall()


class Reader(threading.Thread):
    """A browser that repeatedly opens the front page and all pages that it links to."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(name="reader")
        self._site = f"http://{endpoint}/{BUCKET}/site"
        self.stop = threading.Event()
        self.looks = 0
        self.broken: list[str] = []

    def run(self) -> None:
        with httpx.Client(trust_env=False) as browser:
            while not self.stop.wait(0.02):
                links = _LINK.findall(browser.get(f"{self._site}/index.html").text)
                if not links:
                    self.broken.append("an index without a link")
                for link in links:
                    if browser.get(f"{self._site}/{link}").status_code != 200 and link in _LINK.findall(
                        browser.get(f"{self._site}/index.html").text
                    ):
                        self.broken.append(link)  # which the index still links to
                self.looks += 1


def test_the_newest_runs_are_published_and_no_reader_meets_a_broken_link(batch: Batch, s3: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>dbt docs</p>")

    def gate() -> str:
        done = batch.gate(**settings(s3, GE_DATA_DOCS_RUNS="2", GE_DBT_DOCS=str(tmp_path / "page.html")))
        assert done.returncode == 0, done.stdout
        path: str = history(batch)[-1][1]
        assert f"docs: {BUCKET}/site/{path}" in done.stdout
        return path

    first = gate()
    reader = Reader(s3)
    reader.start()
    try:
        second, third = gate(), gate()
    finally:
        reader.stop.set()
        reader.join()
    assert reader.broken == []
    assert reader.looks > 5

    store = client(s3)
    keys = {str(item.object_name) for item in store.list_objects(BUCKET, recursive=True)}
    assert {key for key in keys if "/validations/" in key} == {f"site/{second}", f"site/{third}"}
    assert len([key for key in keys if key.startswith("results/")]) == 2
    assert all(first.removesuffix(".html").removeprefix("validations/") not in key for key in keys)
    index = httpx.get(f"http://{s3}/{BUCKET}/site/index.html", trust_env=False)
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    assert set(_LINK.findall(index.text)) == {second, third}
    assert "expectations/silver_gate.html" in index.text
    assert "site/expectations/silver_gate.html" in keys
    assert httpx.get(f"http://{s3}/{BUCKET}/site/dbt/index.html", trust_env=False).text == "<p>dbt docs</p>"
    page = httpx.get(f"http://{s3}/{BUCKET}/site/{third}", trust_env=False).text
    assert "expect_ohlc_in_order" in page or "low &lt;= open" in page or "low <= open" in page
    for asset in re.findall(r'(?:href|src)="(?:\.\./)*(static/[^"]+)"', page):
        assert f"site/{asset}" in keys
    secrets = [*batch.database.passwords.values(), KEYS["S3_SECRET_KEY"]]
    for key in keys:
        content = store.get_object(BUCKET, key).read()
        assert not any(secret.encode() in content for secret in secrets), key


@pytest.mark.bi
def test_the_pages_work_in_a_browser_without_the_internet(batch: Batch, s3: str) -> None:
    files = npm_files.ensure(npm_files.listed(PAGE_FILES))
    for _ in range(2):
        pages = {"GE_PAGE_FILES": str(files), "GE_DBT_DOCS": str(dbt_docs.ensure())}
        assert batch.gate(**settings(s3, GE_DATA_DOCS_RUNS="2", **pages)).returncode == 0
    site = f"http://{s3}/{BUCKET}/site"
    with chromium(1280, 1000) as driver:
        driver.get(f"{site}/index.html")
        wait = WebDriverWait(driver, 30)
        rows = ".tab-pane.active tbody tr[data-index]"  # drawn by the script bootstrap-table, as is the search
        wait.until(lambda _: len(driver.find_elements(By.CSS_SELECTOR, rows)) == 2)
        driver.find_element(By.CSS_SELECTOR, ".tab-pane.active input.search-input").send_keys("no such run")
        wait.until(lambda _: driver.find_elements(By.CSS_SELECTOR, rows) == [])
        assert driver.execute_script("return document.fonts.check('900 12px \"Font Awesome 6 Free\"')")
        page = history(batch)[-1][1]
        for path in (page, "expectations/silver_gate.html"):
            driver.get(f"{site}/{path}")
            wait.until(lambda _: driver.find_elements(By.CSS_SELECTOR, "nav.navbar img"))
            assert driver.execute_script(
                "return typeof vegaEmbed === 'function' && typeof jQuery.fn.modal === 'function'"
                " && document.querySelector('nav.navbar img').naturalWidth > 0"
            )
        assert [one for one in driver.get_log("browser") if one["level"] == "SEVERE"] == []
        use_dbt_docs(driver, f"{site}/dbt/index.html")
        log = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
        urls = [one["params"]["request"]["url"] for one in log if one["method"] == "Network.requestWillBeSent"]
        assert any("/static/npm/" in url for url in urls)
        own = (site, "data:", "chrome://")  # the browser's first page is one of its own
        assert [url for url in urls if not url.startswith(own)] == []


def use_dbt_docs(driver: webdriver.Chrome, page: str) -> None:
    """Search for a model in dbt docs, and open the lineage graph of another."""
    wait = WebDriverWait(driver, 30)
    driver.get(page)
    found = ".search-result"
    wait.until(lambda _: driver.find_element(By.ID, "search").is_displayed())
    driver.find_element(By.ID, "search").send_keys("reconciliation_klines_1m")
    wait.until(lambda _: driver.find_elements(By.CSS_SELECTOR, found))
    links = [result.get_dom_attribute("href") for result in driver.find_elements(By.CSS_SELECTOR, found)]
    assert "#!/model/model.crypto_analytics.reconciliation_klines_1m" in links
    driver.get(f"{page}#!/model/model.crypto_analytics.gold_klines_5m")
    wait.until(lambda _: driver.find_element(By.CSS_SELECTOR, ".launcher-btn a").is_displayed())
    driver.find_element(By.CSS_SELECTOR, ".launcher-btn a").click()
    nodes = "return document.getElementById('cy')?._cyreg?.cy.nodes(':visible').map(node => node.id())"
    shown = wait.until(lambda _: driver.execute_script(nodes))
    assert {"model.crypto_analytics.silver_klines_1m", "model.crypto_analytics.gold_klines_5m"} <= set(shown)


def test_a_failed_publication_keeps_a_success_and_is_reported(batch: Batch) -> None:
    done = batch.gate(**settings("127.0.0.1:1"))
    assert done.returncode == 0, done.stdout
    assert "33 of 33 expectations hold" in done.stdout
    assert "WARNING no Data Docs of this run, its result is not affected" in done.stdout
    assert "check OBJECT_STORE* and S3_*" in done.stdout
    assert history(batch)[-1] == (True, "")


def test_a_failed_publication_keeps_a_failure(batch: Batch) -> None:
    done = batch.gate(**settings("127.0.0.1:1"), AS_OF="2026-01-05T10:03:59Z")
    assert done.returncode == 1
    assert "WARNING no Data Docs" in done.stdout
    assert "FAILED expect_column_values_to_be_between(open_time" in done.stdout
    assert history(batch)[-1] == (False, "")


def test_a_run_that_cannot_be_recorded_fails_and_keeps_its_result(batch: Batch) -> None:
    with batch.database.connect() as connection:
        connection.execute("revoke insert on quality_gate_runs from gate")
        try:
            before = history(batch)
            done = batch.gate()
        finally:
            connection.execute("grant insert on quality_gate_runs to gate")
    assert done.returncode == 1
    assert "33 of 33 expectations hold" in done.stdout
    assert "could not record the run in quality_gate_runs" in done.stdout
    assert "permission denied" in done.stdout
    assert batch.database.passwords["gate"] not in done.stdout
    assert history(batch) == before


def test_old_runs_are_forgotten(batch: Batch) -> None:
    with batch.database.connect() as connection:
        connection.execute(
            "insert into quality_gate_runs select now() - days * interval '1 day', true, 33, 0, '{}', '' "
            "from unnest(array[29, 31]) as days"
        )
    assert batch.gate().returncode == 0
    with batch.database.connect("reader") as reader:
        ages = reader.execute("select extract(day from now() - min(run_time))::int from quality_gate_runs").fetchone()
    assert ages == (29,)


def test_wrong_settings_are_named_before_anything_is_done(batch: Batch) -> None:
    done = batch.gate(OBJECT_STORE="s3", S3_SECRET_KEY="")
    assert done.returncode == 2
    assert "OBJECT_STORE=s3 needs S3_ACCESS_KEY and S3_SECRET_KEY" in done.stdout
