"""The folder of the kept runs: their results as JSON, and the Data Docs that show them."""

import shutil
from pathlib import Path

RESULTS = "results"
SITE = "site"


def index(folder: Path) -> Path:
    """Return the front page of the Data Docs."""
    return folder / SITE / "index.html"


def forget_old_runs(folder: Path, suite: str, *, keep: int) -> None:
    """Remove the results and pages of all but the newest ``keep`` runs; a run is a folder named by its time."""
    for parent in (folder / RESULTS / suite, folder / SITE / "validations" / suite):
        runs = sorted(path for path in parent.glob("*/*") if path.is_dir())
        for run in runs[: max(0, len(runs) - keep)]:
            shutil.rmtree(run)
