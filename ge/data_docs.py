"""Publish a run's Data Docs: below ``results/`` in the bucket what was found, below ``site/`` the pages that show it.

Great Expectations has no store for S3, so it builds the new page and the index in the run's folder. A reader never
meets a link that leads nowhere: pages go up before the index that names them, and old ones go after it.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from great_expectations.data_context.types.resource_identifiers import ExpectationSuiteIdentifier

from crypto_analytics.store.objects import ObjectStore
from ge.gate import CHECKPOINT, RESULTS, SITE, Judged

INDEX = "index.html"
_WORKERS = 8  # objects fetched or written side by side


class Runs(NamedTuple):
    """The runs in the bucket, oldest first, each named by its path without a suffix: to keep, and to forget."""

    keep: list[str]
    forget: list[str]


def publish(judged: Judged, store: ObjectStore, bucket: str, *, runs: int) -> str:
    """Publish the run, leave the newest ``runs`` there, and return the path of its page in the site.

    Raises:
        Exception: whatever keeps it from being published. Then the site shows what it showed before.
    """
    folder, new = judged.folder, "/".join(judged.identifier.to_tuple())
    old = known_runs(store, bucket, keep=runs - 1)
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="docs") as pool:
        list(pool.map(partial(_fetch, store, bucket, folder), old.keep))
        _build(judged, [new, *old.keep])
        for run in old.keep:
            for key in _keys(run):
                (folder / key).unlink()
        index = folder / SITE / INDEX
        before = [folder / _keys(new)[0], *_changed(store, bucket, folder)]
        list(pool.map(partial(_put, store, bucket, folder), (path for path in before if path != index)))
    _put(store, bucket, folder, index)
    for run in old.forget:
        for key in _keys(run):
            store.delete(bucket, key)
    return _page_in_site(new)


def known_runs(store: ObjectStore, bucket: str, *, keep: int) -> Runs:
    """Return the runs in the bucket. A path has the run's time in it, and sorts by it.

    One with a result or a page alone was cut off before the index named it, and is forgotten.
    """
    folders = (f"{RESULTS}/", ".json"), (f"{SITE}/validations/", ".html")
    results, pages = (
        {info.key.removeprefix(folder).removesuffix(suffix) for info in store.list(bucket, f"{folder}{CHECKPOINT}/")}
        for folder, suffix in folders
    )
    whole = sorted(results & pages)
    kept = whole[max(0, len(whole) - keep) :]
    return Runs(kept, sorted((results | pages) - set(kept)))


def _fetch(store: ObjectStore, bucket: str, folder: Path, run: str) -> None:
    """Bring a kept run's result, which the index is made from; an empty page stands for the one in the bucket."""
    result, page = _keys(run)
    for key, content in ((result, store.get(bucket, result)), (page, b"")):
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(content)


def _build(judged: Judged, runs: list[str]) -> None:
    """Build the new page and the index; where Great Expectations fails, it only logs, and writes less."""
    wanted = [judged.identifier, ExpectationSuiteIdentifier(CHECKPOINT)]
    judged.context.build_data_docs(site_names=[SITE], resource_identifiers=wanted)
    text = (judged.folder / SITE / INDEX).read_text(encoding="utf-8")
    if missing := [run for run in runs if _page_in_site(run) not in text]:
        raise ValueError(f"Great Expectations' index lacks {len(missing)} of {len(runs)} runs, as {missing[0]}")


def _changed(store: ObjectStore, bucket: str, folder: Path) -> list[Path]:
    """Return the site's files; of those that come with Great Expectations, the ones that are not there yet."""
    there = {info.key: info.size for info in store.list(bucket, f"{SITE}/static/")}
    files = [path for path in (folder / SITE).rglob("*") if path.is_file()]
    return [path for path in files if there.get(path.relative_to(folder).as_posix()) != path.stat().st_size]


def _put(store: ObjectStore, bucket: str, folder: Path, path: Path) -> None:
    store.put(bucket, path.relative_to(folder).as_posix(), path.read_bytes())


def _keys(run: str) -> tuple[str, str]:
    """Return the keys of a run's result and page."""
    return f"{RESULTS}/{run}.json", f"{SITE}/{_page_in_site(run)}"


def _page_in_site(run: str) -> str:
    return f"validations/{run}.html"
