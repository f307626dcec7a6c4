"""Jars, Kafka's above all: resolved once with Maven into a cache named by the pom's hash, so that a pom has its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from embedded.problems import Problem

_RESOURCES = Path(__file__).parent / "resources"
POM = _RESOURCES / "pom.xml"
SPARK_POM = _RESOURCES / "spark-pom.xml"


def cache_root() -> Path:
    """Return the project's folder in the user's cache (CRYPTO_ANALYTICS_CACHE, or as XDG says)."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("CRYPTO_ANALYTICS_CACHE") or home) / "crypto-analytics"


def jars_dir(name: str = "kafka", pom: Path = POM) -> Path:
    """Return the folder that holds the jars of ``pom``, or will."""
    return cache_root() / f"{name}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:16]}"


def ensure_jars(log: Path, name: str = "kafka", pom: Path = POM) -> Path:
    """Return the folder with the jars of ``pom``, after resolving them if need be. Maven's output goes to ``log``.

    The folder appears whole or not at all: a download that breaks leaves nothing that a later run would trust.

    Raises:
        Problem: Maven failed.
    """
    target = jars_dir(name, pom)
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        unfinished.chmod(0o755)
        shutil.copy(pom, unfinished / "pom.xml")  # Maven writes beside the pom: not into the checkout
        quietly = ["--batch-mode", "--no-transfer-progress", "-Dstyle.color=never"]
        command = ["mvn", *quietly, "-f", str(unfinished / "pom.xml")]
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={unfinished}"]
        with log.open("ab") as output:
            done = subprocess.run(
                [*command, *goal], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
            )
        if done.returncode != 0:
            mend = f"check the network and what Maven says in {log}, then run the same command again"
            raise Problem(f"the jars of {name} could not be fetched", f"mvn exited with {done.returncode}", mend)
        try:
            unfinished.rename(target)
        except OSError:  # another run was faster: a folder that is not empty is never replaced
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def spark_jars_dir() -> Path:
    """Return the folder that holds what Spark needs to read Kafka, or will."""
    return jars_dir("spark", SPARK_POM)


def are_there(*, spark: bool) -> bool:
    """Whether nothing is left to fetch, of Kafka's jars and, where ``spark`` is wanted, of Spark's."""
    return jars_dir().is_dir() and (spark_jars_dir().is_dir() or not spark)


def main(log: Path, *, spark: bool) -> int:
    """Fetch Kafka's jars, and Spark's where ``spark`` is wanted; return 0 when they are there."""
    try:
        ensure_jars(log)
        if spark:
            ensure_jars(log, "spark", SPARK_POM)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), spark="--spark" in sys.argv[2:]))
