"""Where things are below DEMO_DIR. A play has its state there; FOREVER and LIVE keep theirs in folders of it."""

from dataclasses import dataclass
from pathlib import Path

from ops.local.settings import Mode


@dataclass(frozen=True)
class Layout:
    """The folders of one kind of run; ``root`` is DEMO_DIR, absolute."""

    root: Path
    mode: Mode

    @property
    def state(self) -> Path:
        """All that a run writes, but for environments, passwords and caches."""
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
        """What dbt writes: compiled models, logs."""
        return self.state / "dbt"

    @property
    def data_docs(self) -> Path:
        """The front page of the quality gate's Data Docs."""
        return self.objects / "data-docs" / "site" / "index.html"

    @property
    def spark(self) -> Path:
        """What Spark keeps while it runs."""
        return self.state / "spark"

    @property
    def superset(self) -> Path:
        """What Superset keeps while it runs."""
        return self.state / "superset"

    @property
    def report(self) -> Path:
        """The evidence of a run."""
        return self.state / "report"

    @property
    def run_file(self) -> Path:
        """How the services of the run are configured, without secrets."""
        return self.state / "run" / "setup.json"

    @property
    def batch_file(self) -> Path:
        """How the last run of the batch steps went."""
        return self.state / "run" / "batch.json"

    @property
    def secrets(self) -> Path:
        """The passwords of all kinds of run."""
        return self.root / "secrets.env"
