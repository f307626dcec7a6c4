"""The contract pages say what the code does."""

import json
import re

import yaml

from crypto_analytics.binance.trade_decoder import BadTrade
from crypto_analytics.publisher.messages import CandleMessage
from tests.servers import ROOT

CONTRACTS = ROOT / "docs" / "contracts"


def cells(page: str, heading: str) -> list[list[str]]:
    """Return the rows of the table of ``page`` whose head begins with ``heading``."""
    _, _, rest = (CONTRACTS / page).read_text().partition(f"| {heading} |")
    table = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_candles_page_lists_the_fields_of_a_message() -> None:
    listed = [name for row in cells("candles.md", "field") for name in names(row[0])]
    schema = json.loads((CONTRACTS / "candle.schema.json").read_text())
    assert sorted(listed) == sorted(CandleMessage.__struct_fields__)
    assert list(schema["properties"]) == schema["required"] == list(CandleMessage.__struct_fields__)


def test_the_gold_page_has_the_columns_of_both_models() -> None:
    listed = [(names(name)[0], names(kind)[0]) for name, kind, _ in cells("gold.md", "column")]
    for model in ("gold_klines_5m", "gold_klines_1h"):
        [declared] = yaml.safe_load((ROOT / "dbt/models/gold" / f"{model}.yml").read_text())["models"]
        assert listed == [(column["name"], column["data_type"]) for column in declared["columns"]]


def test_the_topics_are_declared_as_the_pages_say() -> None:
    declared = yaml.safe_load((ROOT / "charts/kafka/files/access.yaml").read_text())["topics"]
    pages = {
        "crypto.candles.1m": "candles.md",
        "crypto.trades.raw": "trades.md",
        "crypto.trades.dlq": "dead-letters.md",
    }
    assert sorted(pages) == sorted(topic["topicName"] for topic in declared)
    for topic in declared:
        text = (CONTRACTS / pages[topic["topicName"]]).read_text()
        assert f"| partitions | {topic['partitions']}" in text
        assert ("| kept | 7 days" in text) == (topic["config"].get("retention.ms") == str(7 * 24 * 3600 * 1000))
        assert ("cleanup.policy=compact" in text) == (topic["config"]["cleanup.policy"] == "compact")


def test_the_dead_letter_page_lists_every_reason() -> None:
    listed = {name for row in cells("dead-letters.md", "reason") for name in names(row[0])}
    sources = [*(ROOT / "services/crypto_analytics").rglob("*.py")]
    code = "\n".join(source.read_text() for source in sources)
    used = set(re.findall(rf"(?:{BadTrade.__name__}|_positive)\(\s*\"(\w+)\"", code)) | {"futures"}
    assert listed == used
