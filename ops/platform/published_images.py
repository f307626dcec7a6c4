"""The images of this version's release, taken from a registry instead of built.

A release has the version as its tag; images that are built on this machine are tagged by their content.
"""

import json
import os
import platform
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from crypto_analytics import __version__
from ops.common.errors import Problem
from ops.common.external_programs import run, succeeds
from ops.platform import images

_CHECK_SECONDS = 20.0
_CHECKS_AT_ONCE = 8
_PULL_SECONDS = 1800.0
_GITHUB = re.compile(r"github\.com[:/](?P<repository>[^/]+/[^/]+?)(\.git)?/?\s*$")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def find(names: Iterable[str], report: Callable[[str], None]) -> str:
    """Return the registry of the release's images ``names``; empty, with the reason in ``report``, if one is missing.

    It is IMAGE_REGISTRY, or else that of the repository on GitHub which the checkout was cloned from. The tags are
    written for Compose and helmfile if all images exist.
    """
    registry = os.environ.get("IMAGE_REGISTRY", "").rstrip("/") or _registry_of_checkout()
    wanted = sorted(names)
    if not registry:
        report(f"version {__version__} is not published: name its registry, IMAGE_REGISTRY=registry.example.com/me")
        return ""
    with ThreadPoolExecutor(_CHECKS_AT_ONCE) as threads:
        found = threads.map(_problem, (images.reference(name, __version__, registry) for name in wanted))
        problems = [problem for problem in found if problem]
    if problems:
        report(f"version {__version__} is not published, {len(problems)} of {len(wanted)} images: {problems[0]}")
        return ""
    images.write_tags(dict.fromkeys(wanted, __version__))
    return registry


def pull(names: Iterable[str], registry: str, report: Callable[[str], None]) -> None:
    """Pull the release's images that are missing on this machine.

    From an index only the image of this machine's architecture is pulled, by its digest, and then named: containerd's
    image store would keep the whole index, and ``kind load`` fails on the images of it that were not pulled.

    Raises:
        Problem: a pull fails.
    """
    for name in sorted(names):
        reference = images.reference(name, __version__, registry)
        if succeeds("docker", "image", "inspect", reference):
            continue
        report(f"pulling {reference}")
        digest = _digests(_manifest(reference)).get(_architecture())
        exact = f"{reference.rpartition(':')[0]}@{digest}" if digest else reference
        run("docker", "pull", "--quiet", exact, fix=f"docker pull {exact}", timeout=_PULL_SECONDS)
        if digest:
            run("docker", "tag", exact, reference, fix=f"docker tag {exact} {reference}", timeout=_CHECK_SECONDS)


def _registry_of_checkout() -> str:
    """Return GitHub's registry of the repository from which this checkout was cloned; empty if it is on no GitHub."""
    try:
        address = run("git", "remote", "get-url", "origin", fix="git remote --verbose", timeout=_CHECK_SECONDS)
    except Problem:
        return ""
    found = _GITHUB.search(address)
    return f"ghcr.io/{found['repository'].lower()}" if found else ""


def _problem(reference: str) -> str:
    """Return why an image cannot be pulled for this machine; empty if it can."""
    try:
        offered = _digests(_manifest(reference))
    except Problem as problem:
        return str(problem)
    architecture = _architecture()
    return f"{reference} is not published for {architecture}" if offered and architecture not in offered else ""


def _manifest(reference: str) -> Any:
    command = ("docker", "buildx", "imagetools", "inspect", "--raw", reference)
    return json.loads(run(*command, fix=" ".join(command), timeout=_CHECK_SECONDS))


def _architecture() -> str:
    machine = platform.machine().lower()
    return _ARCHITECTURES.get(machine, machine)


def _digests(manifest: Any) -> dict[str, str]:
    """Return the digests of an index by architecture; empty for a single manifest, which does not name its own."""
    return {entry["platform"]["architecture"]: entry["digest"] for entry in manifest.get("manifests", [])}
