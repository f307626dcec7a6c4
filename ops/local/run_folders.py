"""The folders of a run below DEMO_DIR. A play keeps its state there, FOREVER and LIVE in a folder each."""

from dataclasses import dataclass
from pathlib import Path

from ops.local.settings import Mode


@dataclass(frozen=True)
class RunFolders:
    """The folders of one kind of run; ``root`` is DEMO_DIR, absolute."""

    root: Path
    mode: Mode

    @property
    def state(self) -> Path:
        """All that a run writes, except environments, passwords and caches."""
        return self.root if self.mode == "play" else self.root / self.mode

    @property
    def postgres(self) -> Path:
        """The database cluster."""
        return self.state / "postgres"

    @property
    def kafka(self) -> Path:
        """The broker's log."""
        return self.state / "kafka"

    @property
    def objects(self) -> Path:
        """The object store's buckets."""
        return self.state / "objects"

    @property
    def dbt(self) -> Path:
        """Compiled models and logs of dbt."""
        return self.state / "dbt"

    @property
    def data_docs(self) -> Path:
        """The front page of the quality gate's Data Docs."""
        return self.objects / "data-docs" / "site" / "index.html"

    @property
    def dbt_docs(self) -> Path:
        """The page of dbt docs, beside the Data Docs."""
        return self.data_docs.with_name("dbt") / "index.html"

    @property
    def live_page(self) -> Path:
        """The built live page, which the API serves."""
        return self.state / "live-page"

    @property
    def spark(self) -> Path:
        """Checkpoints and scratch files of Spark."""
        return self.state / "spark"

    @property
    def superset(self) -> Path:
        """Superset's home."""
        return self.state / "superset"

    @property
    def monitoring(self) -> Path:
        """Configuration and data of Prometheus and Alertmanager."""
        return self.state / "monitoring"

    @property
    def report(self) -> Path:
        """The report of a run: counts and tables."""
        return self.state / "report"

    @property
    def run_file(self) -> Path:
        """The configuration of the run, without secrets."""
        return self.state / "run" / "setup.json"

    @property
    def batch_file(self) -> Path:
        """The result of the last batch run."""
        return self.state / "run" / "batch.json"

    @property
    def secrets(self) -> Path:
        """The passwords of all kinds of run."""
        return self.root / "secrets.env"
