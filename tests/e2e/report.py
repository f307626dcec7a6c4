"""Collect the measurements of a run: test durations, memory at rest and under load, and recovery times."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass
class Report:
    """Memory in MiB by moment and component; seconds by test and by recovered component."""

    platform: str
    variant: str
    memory: dict[str, dict[str, float]] = field(default_factory=dict)
    recovered: dict[str, float] = field(default_factory=dict)
    verified: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the measurements as JSON."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(self) | {"total_seconds": self.total}, indent=2) + "\n")

    @property
    def total(self) -> float:
        """The total seconds of all tests."""
        return round(sum(self.seconds.values()), 1)

    def show(self, console: Console) -> None:
        """Print the tables."""
        if self.memory:
            console.print(self._memory_table())
        longest = {name: seconds for name, seconds in self.seconds.items() if seconds >= 1}
        for title, column, rows in (
            ("Back after a kill: candles advance, no gap", "seconds", self.recovered),
            (f"Tests of a second and more ({self.total:.0f} s in all)", "seconds", longest),
        ):
            if rows:
                table = Table("", column, title=title, title_justify="left")
                for name, value in rows.items():
                    table.add_row(escape(name), f"{value:.1f}")
                console.print(table)
        for moment, counts in self.verified.items():
            numbers = ", ".join(f"{count:,} {name}" for name, count in counts.items())
            console.print(f"verified {moment}: {numbers}", highlight=False)

    def _memory_table(self) -> Table:
        table = Table("component", *self.memory, title="Memory (working set, MiB)", title_justify="left")
        for component in next(iter(self.memory.values())):
            table.add_row(component, *(f"{sizes[component]:,.0f}" for sizes in self.memory.values()))
        table.add_row("all", *(f"{sum(sizes.values()):,.0f}" for sizes in self.memory.values()))
        return table
