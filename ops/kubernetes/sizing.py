"""Estimate CPU, memory and disk for a number of symbols and trades per second.

The constants were measured: docs/sizing.md says how, and what they leave out.
"""

import argparse
import math
from dataclasses import dataclass

import yaml
from pydantic import Field, PositiveFloat, PositiveInt
from rich.console import Console
from rich.table import Table

from crypto_analytics.core.spot_market import is_symbol
from crypto_analytics.runtime.settings import SettingsGroup, describe, load
from ops.common.console import console
from ops.common.errors import Problem
from ops.common.paths import ROOT
from ops.common.settings import OpsSettings
from ops.common.units import GIB, MIB, millicores
from ops.kubernetes import pod_resources

SECONDS_A_DAY = 86_400
MINUTES_A_DAY = 1_440
KAFKA_DAYS = 7  # retention.ms in charts/kafka/files/access.yaml
PEAK = 10  # CPU is for so many times the average rate: trades come in bursts
HEADROOM = 1.5  # of each volume, for indexes being rebuilt, segments waiting for deletion, and growth
SMALLEST_VOLUME = 10  # GiB, the charts' default


@dataclass(frozen=True)
class Cost:
    """What one component needs: millicores at rest, CPU microseconds for each trade."""

    rest: float
    trade: float


CPU = {
    "kafka": Cost(rest=88, trade=30),
    "producer": Cost(rest=21, trade=30),
    "consumer": Cost(rest=15, trade=10),
    "postgres": Cost(rest=6, trade=5),
}
# Bytes on the disk of Kafka: for each trade, and for each batch of the producer, which waits LINGER seconds for more.
KAFKA_TRADE, KAFKA_BATCH = 47, 129
LINGER = 0.005
PARTITIONS = 6
# Bytes of the raw archive: for each trade; for each object, with the folder and the file that MinIO makes for it.
RAW_TRADE, RAW_OBJECT = 20, 8_400
OBJECTS = 0.9  # for each symbol and BATCH_SECONDS: the consumer archives each of its batches
# Bytes in PostgreSQL, with indexes: for each object, and for each symbol and minute in all tables of candles.
OBJECT_ROW = 415
CANDLE_ROWS = 860
# Bytes of Parquet: for each trade, and for each symbol and minute in silver and gold.
LAKE_TRADE, LAKE_CANDLE = 20, 200
# MiB that the services need more for each symbol.
MEMORY_A_SYMBOL = 0.014


class SizingSettings(SettingsGroup):
    """The stream to be estimated."""

    SYMBOLS: str = Field("3", description="number of symbols, or their names, separated by commas")
    TRADES_PER_SECOND: PositiveFloat = Field(30, description="trades per second of all symbols together, on average")
    DAYS: PositiveInt = Field(365, description="days of history that are kept in PostgreSQL and in the object store")
    BATCH_SECONDS: PositiveFloat = Field(1.0, description="the consumer's setting: a longer batch makes fewer objects")


@dataclass(frozen=True)
class Estimate:
    """CPU in millicores by component at the peak rate, and disk in bytes by volume, after all days."""

    cpu: dict[str, int]
    disk: dict[str, dict[str, float]]
    memory: int

    def volume(self, release: str) -> int:
        """Return the size of a volume in GiB, with headroom."""
        return max(SMALLEST_VOLUME, math.ceil(HEADROOM * sum(self.disk[release].values()) / GIB))

    @property
    def values(self) -> dict[str, object]:
        """The values of the releases, for a file of the user's own."""
        sizes = {name: {"persistence": {"size": f"{self.volume(name)}Gi"}} for name in self.disk}
        requests = {
            name: {"resources": _resources(name, cpu)}
            for name, cpu in self.cpu.items()
            if cpu > pod_resources.load()["lite"][name].cpu
        }
        return {"releases": {name: {**sizes.get(name, {}), **requests.get(name, {})} for name in {**sizes, **requests}}}


def _resources(name: str, cpu: int) -> dict[str, dict[str, str]]:
    """Return a CPU request, and a limit where the chart's is lower, because Kubernetes refuses a request above it."""
    request = {"cpu": f"{cpu}m"}
    chart = yaml.safe_load((ROOT / "charts" / name / "values.yaml").read_text())
    limit = chart["resources"]["limits"].get("cpu")
    is_above = limit is not None and cpu > millicores(limit)
    return {"requests": request} | ({"limits": dict(request)} if is_above else {})


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Print the estimate, and the values that follow from it."""
    parser = argparse.ArgumentParser(
        prog="python -m ops sizing",
        description=__doc__,
        epilog=describe(SizingSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(arguments)
    asked = load(SizingSettings, "sizing")
    found = estimate(symbols(asked.SYMBOLS), asked.TRADES_PER_SECOND, asked.DAYS, asked.BATCH_SECONDS)
    show(found, asked, console())
    return 0


def symbols(text: str) -> int:
    """Return how many symbols ``text`` names, or the number that it is.

    Raises:
        Problem: it is neither.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    is_number = len(names) == 1 and names[0].lstrip("-").isdecimal()
    if is_number and int(names[0]) > 0:
        return int(names[0])
    if is_number or not names or not all(map(is_symbol, names)):
        raise Problem("SYMBOLS is no number of symbols", f"it is {text!r}", "make sizing SYMBOLS=3")
    return len(names)


def estimate(count: int, rate: float, days: int, batch_seconds: float = 1.0) -> Estimate:
    """Return what ``count`` symbols with ``rate`` trades per second need after ``days``, with one broker."""
    trades, minutes = rate * SECONDS_A_DAY, count * MINUTES_A_DAY
    objects = min(count * OBJECTS / batch_seconds, rate) * SECONDS_A_DAY  # no batch without a trade
    in_a_batch = 1 + LINGER * rate / min(count, PARTITIONS)
    record = KAFKA_TRADE + KAFKA_BATCH / in_a_batch
    return Estimate(
        cpu={name: math.ceil(cost.rest + PEAK * rate * cost.trade / 1000) for name, cost in CPU.items()},
        disk={
            "kafka": {f"records of {KAFKA_DAYS} days": trades * record * min(days, KAFKA_DAYS)},
            "postgres": {
                "candles, silver, gold": minutes * CANDLE_ROWS * days,
                "list of raw objects": objects * OBJECT_ROW * days,
            },
            "minio": {
                "raw archive": (trades * RAW_TRADE + objects * RAW_OBJECT) * days,
                "lake": (trades * LAKE_TRADE + minutes * LAKE_CANDLE) * days,
            },
        },
        memory=math.ceil(count * MEMORY_A_SYMBOL),
    )


def show(found: Estimate, asked: SizingSettings, out: Console) -> None:
    """Print the tables of an estimate, and its values as YAML."""
    stream = f"{symbols(asked.SYMBOLS)} symbols, {asked.TRADES_PER_SECOND:g} trades/s on average, {asked.DAYS} days"
    out.print(stream, soft_wrap=True)
    disk = Table("volume", "what", "in all", title="Disk", title_justify="left")
    for name, parts in found.disk.items():
        for what, size in parts.items():
            disk.add_row(name, what, _size(size))
        disk.add_row(name, f"volume, {HEADROOM:g} times that", f"{found.volume(name)} GiB")
    cpu = Table("pod", "CPU", "its request", title=f"CPU at {PEAK} times that rate", title_justify="left")
    for name, peak in found.cpu.items():
        cpu.add_row(name, f"{peak}m", f"{pod_resources.load()['lite'][name].cpu}m")
    for table in (disk, cpu):
        for column in table.columns[1 if table is cpu else 2 :]:
            column.justify = "right"
        out.print(table)
    lite, default = (pod_resources.needed_memory(name, "python") for name in ("lite", "default"))
    needs = f"{(lite + found.memory) / 1024:.1f} GiB for ENV=lite, {(default + found.memory) / 1024:.1f} for default"
    out.print(f"Memory of one node: {needs}; with Spark: docs/reference/resources.md", soft_wrap=True)
    out.print("Values, for make up VALUES=mine.yaml (a volume gets its size when it is created):", soft_wrap=True)
    out.print(yaml.safe_dump(found.values, sort_keys=False), markup=False, highlight=False)


def _size(size: float) -> str:
    return f"{size / GIB:,.1f} GiB" if size >= GIB else f"{size / MIB:,.0f} MiB"
