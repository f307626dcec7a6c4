"""Alerts and dashboards name runbooks by their files in the checkout, or by pages of a published documentation site."""

import json
import re

import yaml

from ops.dev import alerts_page
from tests.charts.rendering import Object, chart, name_of, of_kind
from tests.servers import ROOT

SITE = "https://docs.example.com/crypto"
SHOWN = {"prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}}


def links(objects: tuple[Object, ...]) -> list[str]:
    """Return the links of Prometheus' own rules, after checking that the PrometheusRule has the same."""
    (config,) = (one for one in of_kind(objects, "ConfigMap") if name_of(one).endswith("prometheus"))
    files = [yaml.safe_load(text) for name, text in config["data"].items() if name != "prometheus.yml"]
    (operators,) = of_kind(objects, "PrometheusRule")
    own = [rule["annotations"]["runbook_url"] for file in files for group in file["groups"] for rule in group["rules"]]
    theirs = [rule["annotations"]["runbook_url"] for group in operators["spec"]["groups"] for rule in group["rules"]]
    assert sorted(own) == sorted(theirs)
    return own


def described(objects: tuple[Object, ...]) -> list[str]:
    """Return the runbooks that panels name."""
    maps = [one for one in of_kind(objects, "ConfigMap") if "dashboard-" in name_of(one)]
    contents = [json.loads(text) for one in maps for text in one["data"].values()]
    texts = [panel.get("description", "") for content in contents for panel in content["panels"]]
    return [found for text in texts for found in re.findall(r"Runbook: (\S+)$", text)]


def test_without_a_site_they_name_files_that_exist() -> None:
    objects = chart("monitoring", SHOWN)
    found = links(objects) + described(objects)
    assert len(links(objects)) == len(list(alerts_page.read()))
    assert len(described(objects)) > 20
    assert [link for link in found if not (ROOT / link.partition("#")[0]).is_file()] == []


def test_with_a_site_they_are_addresses_of_its_pages() -> None:
    objects = chart("monitoring", {**SHOWN, "docsUrl": SITE})
    without = chart("monitoring", SHOWN)

    def page(link: str) -> str:
        return link.replace("docs/", f"{SITE}/", 1).replace(".md", ".html", 1)

    assert links(objects) == [page(link) for link in links(without)]
    assert described(objects) == [page(link) for link in described(without)]
    assert f"{SITE}/runbooks/market.html#price-moved" in links(objects)
