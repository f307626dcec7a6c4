"""Publish a run's Data Docs in the bucket: results as JSON under ``results/``, pages under ``site/``.

Great Expectations has no store for S3, so it builds the new page and the index in the run's folder. No link of the
index is ever broken: new pages are uploaded before the index, and old ones are deleted after it.
"""

import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from great_expectations.data_context.types.resource_identifiers import ExpectationSuiteIdentifier

from crypto_analytics.store.objects import ObjectStore
from ge.gate import CHECKPOINT, RESULTS, SITE, Validation
from ge.offline_pages import localize

INDEX = "index.html"
DBT_DOCS = "dbt/index.html"
_WORKERS = 8  # objects that are fetched or written concurrently


class Runs(NamedTuple):
    """The runs in the bucket, oldest first, each as its path without a suffix: those to keep, and those to delete."""

    keep: list[str]
    delete: list[str]


def publish(
    validation: Validation,
    store: ObjectStore,
    bucket: str,
    *,
    runs: int,
    page_files: Path | None = None,
    dbt_docs: Path | None = None,
) -> str:
    """Publish the run, keep the newest ``runs``, and return the path of its page in the site.

    The pages load their scripts and styles from the site where ``page_files`` is the folder that has them. The page
    ``dbt_docs`` loads nothing, and is published beside them.

    Raises:
        Exception: the run could not be published; the site is unchanged.
    """
    folder, new = validation.folder, "/".join(validation.identifier.to_tuple())
    old = known_runs(store, bucket, keep=runs - 1)
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="docs") as pool:
        list(pool.map(partial(_fetch, store, bucket, folder), old.keep))
        _build(validation, [new, *old.keep])
        for run in old.keep:
            for key in _keys(run):
                (folder / key).unlink()
        if page_files is not None:
            localize(folder / SITE, page_files)
        if dbt_docs is not None:
            page = folder / SITE / DBT_DOCS
            page.parent.mkdir()
            shutil.copyfile(dbt_docs, page)
        index = folder / SITE / INDEX
        before = [folder / _keys(new)[0], *_changed(store, bucket, folder)]
        list(pool.map(partial(_put, store, bucket, folder), (path for path in before if path != index)))
    _put(store, bucket, folder, index)
    for run in old.delete:
        for key in _keys(run):
            store.delete(bucket, key)
    return _page_in_site(new)


def known_runs(store: ObjectStore, bucket: str, *, keep: int) -> Runs:
    """Return the runs in the bucket; a path contains the run's time and sorts by it.

    A run with only a result or only a page was interrupted before the index listed it, and is to be deleted.
    """
    folders = (f"{RESULTS}/", ".json"), (f"{SITE}/validations/", ".html")
    results, pages = (
        {info.key.removeprefix(folder).removesuffix(suffix) for info in store.list(bucket, f"{folder}{CHECKPOINT}/")}
        for folder, suffix in folders
    )
    complete = sorted(results & pages)
    kept = complete[max(0, len(complete) - keep) :]
    return Runs(kept, sorted((results | pages) - set(kept)))


def _fetch(store: ObjectStore, bucket: str, folder: Path, run: str) -> None:
    """Fetch the result of a kept run for the index, and create an empty file in place of its page in the bucket."""
    result, page = _keys(run)
    for key, content in ((result, store.get(bucket, result)), (page, b"")):
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(content)


def _build(validation: Validation, runs: list[str]) -> None:
    """Build the new page and the index; check the index, because Great Expectations only logs its errors."""
    wanted = [validation.identifier, ExpectationSuiteIdentifier(CHECKPOINT)]
    validation.context.build_data_docs(site_names=[SITE], resource_identifiers=wanted)
    text = (validation.folder / SITE / INDEX).read_text(encoding="utf-8")
    if missing := [run for run in runs if _page_in_site(run) not in text]:
        raise ValueError(
            f"Great Expectations' index lacks {len(missing)} of {len(runs)} runs, for example {missing[0]}"
        )


def _changed(store: ObjectStore, bucket: str, folder: Path) -> list[Path]:
    """Return the files of the site that are new or changed; static files are compared with the bucket by size."""
    sizes = {info.key: info.size for info in store.list(bucket, f"{SITE}/static/")}
    files = [path for path in (folder / SITE).rglob("*") if path.is_file()]
    return [path for path in files if sizes.get(path.relative_to(folder).as_posix()) != path.stat().st_size]


def _put(store: ObjectStore, bucket: str, folder: Path, path: Path) -> None:
    store.put(bucket, path.relative_to(folder).as_posix(), path.read_bytes())


def _keys(run: str) -> tuple[str, str]:
    """Return the keys of a run's result and page."""
    return f"{RESULTS}/{run}.json", f"{SITE}/{_page_in_site(run)}"


def _page_in_site(run: str) -> str:
    return f"validations/{run}.html"
