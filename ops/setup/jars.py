"""Jars of Kafka, and of Spark's Kafka connector: resolved once by Maven, into a cache folder per hash of the pom."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ops.common import child_environment
from ops.common.errors import Problem

_RESOURCES = Path(__file__).parent / "resources"
POM = _RESOURCES / "kafka-pom.xml"
SPARK_POM = _RESOURCES / "spark-pom.xml"


def cache_homes() -> list[Path]:
    """Return the folders that may hold caches, the first choice first.

    CRYPTO_ANALYTICS_CACHE alone where it is set; else XDG_CACHE_HOME, and .cache in the user's home.
    """
    chosen = os.environ.get("CRYPTO_ANALYTICS_CACHE")
    if chosen:
        return [Path(chosen).absolute()]
    named = os.environ.get("XDG_CACHE_HOME", "")
    homes = [Path(named)] if named.startswith("/") else []  # the XDG specification says to ignore relative ones
    return [*homes, child_environment.user_home(os.environ) / ".cache"]


def cache_home() -> Path:
    """Return the folder to write caches to: the first that can be written.

    Raises:
        Problem: none can be written.
    """
    causes = []
    for home in cache_homes():
        try:
            _try_to_write(home)
        except OSError as error:
            causes.append(f"{home}: {error.strerror}")
        else:
            return home
    raise Problem(
        "no cache folder can be written", ", ".join(causes), "make demo CRYPTO_ANALYTICS_CACHE=/a/folder/of/yours"
    )


def jars_dir(name: str = "kafka", pom: Path = POM) -> Path:
    """Return the folder of the jars of ``pom``, which may not exist yet; one that exists need not be writable."""
    folder = Path("crypto-analytics", f"{name}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:16]}")
    places = [home / folder for home in cache_homes()]
    return next((place for place in places if place.is_dir()), places[0])


def ensure_jars(log: Path, name: str = "kafka", pom: Path = POM) -> Path:
    """Return the folder with the jars of ``pom``; resolve them if they are missing. Maven's output goes to ``log``.

    The folder is created by a rename, so that a download that fails leaves no partial one.

    Raises:
        Problem: Maven failed, or no cache folder can be written.
    """
    target = jars_dir(name, pom)
    if target.is_dir():
        return target
    target = cache_home() / target.relative_to(target.parents[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        unfinished.chmod(0o755)
        shutil.copy(pom, unfinished / "pom.xml")  # Maven writes beside the pom, and must not write into the checkout
        quietly = ["--batch-mode", "--no-transfer-progress", "-Dstyle.color=never"]
        command = ["mvn", *quietly, *_repository(target.parent), "-f", "pom.xml"]
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=."]
        with log.open("ab") as output:
            done = subprocess.run(
                [*command, *goal],
                cwd=unfinished,  # relative paths only: Maven does not accept every character in a path
                env=child_environment.fetcher(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            fix = f"check the network and Maven's messages in {log}, then run the same command again"
            raise Problem(f"the jars of {name} could not be fetched", f"mvn exited with {done.returncode}", fix)
        try:
            unfinished.rename(target)
        except OSError:  # another run was faster: rename does not replace a folder that is not empty
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _try_to_write(folder: Path) -> None:
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        return


def _repository(cache: Path) -> list[str]:
    """Return the option that puts Maven's own cache (~/.m2) beside the jars, on request or where it is read-only."""
    if "maven.repo.local" in os.environ.get("MAVEN_OPTS", "") + os.environ.get("MAVEN_ARGS", ""):
        return []
    if os.environ.get("CRYPTO_ANALYTICS_CACHE"):
        return [f"-Dmaven.repo.local={cache / 'maven'}"]
    try:
        _try_to_write(child_environment.listed_home() / ".m2")  # Java reads the password database, not HOME
    except OSError:
        return [f"-Dmaven.repo.local={cache / 'maven'}"]
    return []


def spark_jars_dir() -> Path:
    """Return the folder of the jars of Spark's Kafka connector, which may not exist yet."""
    return jars_dir("spark", SPARK_POM)


def are_cached(*, spark: bool) -> bool:
    """Return whether Kafka's jars, and with ``spark`` those of Spark's Kafka connector, are in the cache."""
    return jars_dir().is_dir() and (spark_jars_dir().is_dir() or not spark)


def main(log: Path, *, spark: bool) -> int:
    """Fetch Kafka's jars, and with ``spark`` those of Spark's Kafka connector; return the exit code."""
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
