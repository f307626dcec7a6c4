"""Output of a run: a line per phase with its seconds, a progress bar while trades stream, tables at the end."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from ops.common.console import console as default_console
from ops.local.report import Report
from ops.local.trade_counts import TradeCounts

_QUIET_SECONDS = 10.0  # between lines where there is no terminal


class Display:
    """Prints to a terminal with a bar, elsewhere in plain lines. ``seconds``: the phases' durations by name."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console or default_console()
        self.seconds: dict[str, float] = {}
        self._clock = clock

    def print(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def phase(self, name: str, done: str) -> Iterator[None]:
        """Measure a phase and print ``done`` at its end."""
        started = self._clock()
        yield
        self.seconds[name] = round(self._clock() - started, 2)
        self.print(f"{self.seconds[name]:7.1f} s  {done}")

    @contextmanager
    def streaming(
        self, total: int | None, quiet_seconds: float = _QUIET_SECONDS
    ) -> Iterator[Callable[[TradeCounts | None], None]]:
        """Yield a function that shows the counts of the run.

        ``total``: the number of trades of the play. ``quiet_seconds``: between two lines, where there is no terminal.
        """
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[summary]}"))
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
            task = bar.add_task("trades", total=total, summary="")
            started = last = self._clock()
            before: int | None = None

            def show(counts: TradeCounts | None) -> None:
                nonlocal last, before
                if counts is None:
                    return
                before = counts.merged if before is None else before
                now = self._clock()
                rate = (counts.merged - before) / max(now - started, 0.001)
                summary = f"{counts.merged:,} merged, {rate:,.0f}/s, lag {counts.lag:,}"
                bar.update(task, completed=counts.merged, summary=summary)
                if not self.console.is_terminal and now - last > quiet_seconds:
                    last = now
                    self.print(f"           {summary}")

            yield show

    def restarted(self, name: str, code: int) -> None:
        """Print that a child died and is restarted."""
        self.print(f"           {name} ended with exit code {code}: restarting it")

    def hops(self, report: Report) -> None:
        """Print rows and lag of each hop."""
        makers = "python and spark" if report.variant == "both" else report.variant
        table = Table("hop", "rows", "lag", "", title=f"From trade to gold, candles by {makers}", title_justify="left")
        for column in table.columns[1:3]:
            column.justify = "right"
        lag = {hop: "not built" if rows is None else f"{rows:,}" for hop, rows in report.lag.items()}
        sent = "unknown" if report.trades_sent is None else f"{report.trades_sent:,}"
        rows = [
            ("exchange: trades", sent, "", ""),
            ("Kafka: records", f"{report.produced:,}", lag["kafka"], f"{report.duplicates:,} duplicates dropped"),
            ("Kafka: dead letters", f"{report.dead_letters:,}", "", ""),
            ("candles: trades", f"{report.merged:,}", lag["candles"], f"{report.missing_trades:,} missing in between"),
            ("archive: trades", f"{report.archive_trade_ids:,}", lag["archive"], f"{report.archive_objects:,} objects"),
            ("candles: minutes", f"{report.candles:,}", "", f"{report.complete_candles:,} complete"),
            ("official klines: minutes", f"{report.klines:,}", "", ""),
            ("silver: minutes", f"{report.silver_rows:,}", lag["silver"], ""),
            ("gold: 5-minute candles", f"{report.gold_rows:,}", lag["gold"], ""),
        ]
        for row in rows:
            table.add_row(*row)
        self.console.print(table)
        verdicts = ", ".join(f"{count:,} {status}" for status, count in report.reconciliation.items())
        self.print(f"completeness:    {report.complete_candles} of {report.candles} candles complete")
        self.print(f"reconciliation:  {verdicts} (minutes, realtime against official)")
        self.print(
            f"gaps:            {report.gaps_found} found, {report.gaps_repaired} repaired, {report.gaps_open} open"
        )
        for gap in report.gaps[:5]:
            self.print(f"                 {gap.symbol} ids {gap.first_missing_id} to {gap.last_missing_id} are missing")
        restarts = {name: count for name, count in report.restarts.items() if count}
        if restarts:
            self.print(f"restarts:        {', '.join(f'{name} {count}' for name, count in restarts.items())}")

    def gold(self, rows: Sequence[tuple[object, ...]]) -> None:
        """Print the newest gold candles."""
        if not rows:
            self.print("gold:            no whole 5 minutes yet")
            return
        names = ("symbol", "open time (UTC)", "open", "high", "low", "close", "volume", "trades")
        table = Table(*names, title="Newest 5-minute candles", title_justify="left")
        for column in table.columns[2:]:
            column.justify = "right"
        for symbol, opened, *numbers in rows:
            table.add_row(str(symbol), f"{opened:%Y-%m-%d %H:%M}", *map(_short, numbers))
        self.console.print(table)

    def where(self, places: Sequence[tuple[str, Path | str]]) -> None:
        """Print the places to look at, by name."""
        for name, place in places:
            self.print(f"{name + ':':<17}{place}")


def _short(number: object) -> str:
    """Return a number without the trailing zeros of its column's type."""
    return f"{number.normalize():f}" if isinstance(number, Decimal) else str(number)
