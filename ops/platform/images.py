"""Build all images with one bake file, tag each by its content, and write the tags for Compose and helmfile.

A tag is ``<version>-<first 12 digits of the image's id>``. A changed image gets a new tag, which a rollout follows; an
unchanged one keeps its tag, so that its pods are not restarted.
"""

import argparse
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from crypto_analytics import __version__
from ops.common.console import console
from ops.common.errors import Problem
from ops.common.external_programs import AIRGAP_HINT, last_lines, path_of, run, succeeds
from ops.common.paths import ROOT, STATE
from ops.common.settings import CLUSTER
from ops.platform import make_command

BAKE_FILE = "images/docker-bake.hcl"
NAMES = (
    "airflow",
    "api",
    "backfill",
    "consumer",
    "dbt",
    "engineproxy",
    "exporter",
    "ge",
    "kafka",
    "minio",
    "monitoring",
    "postgres",
    "producer",
    "publisher",
    "simulator",
    "spark",
    "superset",
    "tools",
    "versitygw",
)
# The images that start from a base image of their own, <name>-packages, with the packages of one lock file.
WITH_PACKAGES = frozenset({"airflow", "api", "backfill", "dbt", "exporter", "ge", "simulator", "tools"})
# Those whose build uses the packages of another: dbt generates dbt docs, npm fetches the files of web pages.
_BUILT_WITH = {"api": {"npm"}, "ge": {"dbt", "npm"}}
_ID_DIGITS = 12
_NAMED = re.compile(r"\bcrypto-analytics/([a-z]+):")
_DONE = re.compile(r"naming to \S*?crypto-analytics/([a-z]+):\S+.*( done|$)")
_FIX = "make images"

Report = Callable[[str], None]


@dataclass(frozen=True)
class BuiltImage:
    """A built image.

    Attributes:
        name: the component.
        reference: registry, repository and tag.
        size: bytes with all its layers, shared ones included.
        unique_size: size of the layers that no other image shares, as docker prints it.
        seconds: the time from the start of the build until the image was built.
    """

    name: str
    reference: str
    size: int
    unique_size: str
    seconds: float

    @property
    def tag(self) -> str:
        """Return the image's tag."""
        return self.reference.rpartition(":")[2]


def reference(name: str, tag: str, registry: str = "") -> str:
    """Return docker's reference of the image ``name``; ``registry`` is a prefix such as registry.example.com/team."""
    prefix = f"{registry.rstrip('/')}/" if registry else ""
    return f"{prefix}crypto-analytics/{name}:{tag}"


def named_in(text: str) -> list[str]:
    """Return the names of our images to which rendered objects, or another text, refer."""
    return sorted(set(_NAMED.findall(text)))


def content_tag(image_id: str, version: str = __version__) -> str:
    """Return the tag of the image with the id ``sha256:…``."""
    return f"{version}-{image_id.removeprefix('sha256:')[:_ID_DIGITS]}"


def build(names: Iterable[str] = NAMES, registry: str | None = None, report: Report = print) -> list[BuiltImage]:
    """Build the images ``names``, tag them and write their tags; unchanged images take a second or two.

    ``registry`` is a prefix (default: the variable IMAGE_REGISTRY); ``report`` receives a line for each built image.

    Raises:
        Problem: docker or buildx is missing, the engine does not run, a build failed, or the disk is full.
    """
    check_docker()
    check_readable()
    wanted = sorted(names)
    prefix = os.environ.get("IMAGE_REGISTRY", "") if registry is None else registry
    log = STATE / "logs" / "images.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    started = time.monotonic()
    packages = (WITH_PACKAGES & set(wanted)).union(*(_BUILT_WITH.get(name, ()) for name in wanted))
    done = _bake(["base", *(f"{name}-packages" for name in sorted(packages))], prefix, log, lambda _: None, started)
    done |= _bake(wanted, prefix, log, report, started)
    tags = {name: content_tag(_image_id(reference(name, __version__, prefix))) for name in wanted}
    for name, tag in tags.items():
        run("docker", "tag", reference(name, __version__, prefix), reference(name, tag, prefix), fix=_FIX)
    write_tags(tags)
    return _describe({name: reference(name, tag, prefix) for name, tag in tags.items()}, done)


def check_docker() -> None:
    """Check that images can be built.

    Raises:
        Problem: docker, buildx or a running engine is missing, or the wrong builder is selected.
    """
    path_of("docker")
    if not succeeds("docker", "version", "--format", "{{.Server.Version}}"):
        cause = "`docker version` does not reach it, or has no permission"
        fix = f"start Docker (sudo systemctl start docker), or join its group; {AIRGAP_HINT}"
        raise Problem("the docker engine does not answer", cause, fix)
    if not succeeds("docker", "buildx", "version"):
        fix = f"install it (https://docs.docker.com/build/install-buildx), {AIRGAP_HINT}"
        raise Problem("docker's plugin buildx is missing", "`docker buildx version` fails", fix)
    driver = re.search(r"^Driver:\s*(\S+)", run("docker", "buildx", "inspect", fix="docker buildx ls"), re.MULTILINE)
    if driver is not None and driver.group(1) != "docker":
        # Images based on one that was just built look it up in the engine, and only the driver `docker` builds there.
        cause = f"the selected builder has the driver {driver.group(1)}, which cannot use the engine's own images"
        raise Problem("buildx uses another builder", cause, "BUILDX_BUILDER=default make images")


def check_readable(root: Path = ROOT) -> None:
    """Check that all users can read the files that are copied or mounted into containers, whatever the umask was.

    Raises:
        Problem: a file is private to its owner.
    """
    relevant = (*root.glob("images/*/*"), *root.glob("charts/*/files/*"), *root.glob("services/*/__init__.py"))
    for file in sorted(relevant):
        if not file.stat().st_mode & stat.S_IROTH:
            cause = (
                f"{file.relative_to(root)} is readable only by its owner (umask 077?); containers run as other users"
            )
            raise Problem("containers cannot read the checkout", cause, "chmod -R go+rX .")


def _bake(targets: Iterable[str], registry: str, log: Path, report: Report, started: float) -> dict[str, float]:
    """Run bake with its output in ``log``; return the seconds after ``started`` at which each image was built."""
    command = [path_of("docker"), "buildx", "bake", "--progress", "plain", "--file", BAKE_FILE, *targets]
    # An attestation has the time of the build: with containerd's image store it would change the id of every build.
    fixed = {"TAG": __version__, "IMAGE_REGISTRY": registry, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    done: dict[str, float] = {}
    with (
        log.open("a") as file,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **fixed},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            file.write(line)
            found = finished(line)
            if found is not None and found not in done:
                done[found] = time.monotonic() - started
                report(f"  {found:<10} {done[found]:6.1f} s")
    if process.returncode != 0:
        raise failure(log.read_text(errors="replace"), log)
    return done


def finished(line: str) -> str | None:
    """Return the image that a line of bake's plain progress reports as built; None for other lines."""
    found = _DONE.search(line)
    return found.group(1) if found else None


def failure(output: str, log: Path) -> Problem:
    """Return the error that bake's output describes."""
    tail = last_lines(
        "\n".join(line for line in output.splitlines() if "ERROR" in line or "error" in line) or output, 5
    )
    if "no space left on device" in output:
        free = f"{shutil.disk_usage(ROOT).free / 1024**3:.1f} GB are free here"
        return Problem(
            "the disk is full", free, "free some (docker system df; docker builder prune), then: make images"
        )
    if re.search(r"pull access denied|failed to resolve source metadata|registry-1\.docker\.io", output):
        fix = f"set DEBIAN_IMAGE and GOLANG_IMAGE to your mirror's, {AIRGAP_HINT}"
        return Problem("a base image cannot be pulled", tail, fix)
    return Problem(
        "an image could not be built", tail, f"see {log.relative_to(ROOT)}, fix the cause, then: make images"
    )


def _image_id(name: str) -> str:
    return run("docker", "image", "inspect", "--format", "{{.Id}}", name, fix=_FIX).strip()


def _describe(references: Mapping[str, str], done: Mapping[str, float]) -> list[BuiltImage]:
    unique = unique_sizes(run("docker", "system", "df", "--verbose", "--format", "{{json .Images}}", fix=_FIX))
    images = []
    for name, full in references.items():
        inspected = json.loads(run("docker", "image", "inspect", full, fix=_FIX))[0]
        images.append(BuiltImage(name, full, inspected["Size"], unique.get(inspected["Id"], ""), done.get(name, 0.0)))
    return images


def unique_sizes(output: str) -> dict[str, str]:
    """Return the unshared size of each image by id, from the output of ``docker system df``."""
    return {image["ID"]: image["UniqueSize"] for image in json.loads(output)}


def write_tags(tags: Mapping[str, str], state: Path = STATE) -> None:
    """Write ``tags`` ({name: tag}) for Compose (env) and helmfile (yaml); keep those of other images."""
    state.mkdir(exist_ok=True)
    known = {**read_tags(state), **tags}
    lines = "".join(f"{name.upper()}_TAG={tag}\n" for name, tag in sorted(known.items()))
    _replace(state / "images.env", lines)
    _replace(state / "images.yaml", yaml.safe_dump({"images": {name: {"tag": tag} for name, tag in known.items()}}))


def read_tags(state: Path = STATE) -> dict[str, str]:
    """Return the tags of the last build by name; empty if there was none."""
    file = state / "images.yaml"
    noted = yaml.safe_load(file.read_text()) if file.is_file() else None
    return {name: image["tag"] for name, image in noted["images"].items()} if noted else {}


def _replace(file: Path, text: str) -> None:
    new = file.with_name(f"{file.name}.new")
    new.write_text(text)
    new.replace(file)


def load_into_kind(cluster: str = CLUSTER, registry: str | None = None, names: Iterable[str] = NAMES) -> list[str]:
    """Load the last build's images ``names`` into the nodes of the kind cluster; return those that were missing.

    All are loaded in one call, so that shared layers are copied once.

    Raises:
        Problem: no image is built, the cluster is missing, or loading fails.
    """
    prefix = os.environ.get("IMAGE_REGISTRY", "") if registry is None else registry
    chosen = set(names)
    wanted = [reference(name, tag, prefix) for name, tag in sorted(read_tags().items()) if name in chosen]
    if not wanted:
        raise Problem("no image to load", f"{STATE.name}/images.yaml lists none of them", _FIX)
    nodes = run("kind", "get", "nodes", "--name", cluster, fix="kind get clusters").split()
    if not nodes:
        raise Problem("no node to load images into", f"kind has no cluster {cluster}", make_command.make_up())
    listing = ("ctr", "--namespace", "k8s.io", "images", "list", "--quiet")
    held = [set(run("docker", "exec", node, *listing, fix=f"docker start {node}").split()) for node in nodes]
    missing = [image for image in wanted if not all({image, f"docker.io/{image}"} & images for images in held)]
    if missing:
        fix = "df -h (a full disk is the usual cause), then run the same command again"
        run("kind", "load", "docker-image", "--name", cluster, *missing, fix=fix)
    return missing


def push(images: Iterable[BuiltImage], report: Report = print, *, release: bool = False) -> None:
    """Push ``images`` to their registry; for a ``release`` under the version alone too, as IMAGES=published needs.

    Raises:
        Problem: a push fails.
    """
    for image in images:
        released = [f"{image.reference.rpartition(':')[0]}:{__version__}"] if release else []
        for name in (image.reference, *released):
            report(f"  pushing {name}")
            run("docker", "push", name, fix=f"docker login {name.partition('/')[0]}")


def show(images: Iterable[BuiltImage], out: Console) -> None:
    """Print the table of images."""
    table = Table("image", "tag", title="Images", title_justify="left")
    for column in ("size", "unshared", "built after"):
        table.add_column(column, justify="right")
    for image in sorted(images, key=lambda one: -one.size):
        size = f"{image.size / 1e6:.0f} MB"
        table.add_row(image.name, image.tag, size, image.unique_size, f"{image.seconds:.1f} s")
    out.print(table)


def main() -> int:
    """Build, list and optionally push the images; return 1 on an error that the user can fix."""
    parser = argparse.ArgumentParser(prog="python -m ops.platform.images", description=__doc__)
    parser.add_argument("--only", help="comma-separated names; default: all", default=",".join(NAMES))
    parser.add_argument("--registry", help="prefix of the names, such as registry.example.com/team")
    parser.add_argument("--push", action="store_true", help="push the images to the registry")
    parser.add_argument("--release", action="store_true", help="with --push: under the version alone too")
    chosen = parser.parse_args()
    names = [name.strip() for name in chosen.only.split(",") if name.strip()]
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"{', '.join(unknown)} is not an image; the images are {', '.join(NAMES)}")
    if chosen.release and not chosen.push:
        parser.error("nothing is pushed: make images PUSH=1 RELEASE=1 IMAGE_REGISTRY=registry.example.com/me")
    if chosen.push and not (chosen.registry or os.environ.get("IMAGE_REGISTRY")):
        parser.error("to push, name a registry: make images PUSH=1 IMAGE_REGISTRY=registry.example.com/me")
    try:
        images = build(names, chosen.registry)
        if chosen.push:
            push(images, release=chosen.release)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    show(images, console())
    print(f"tags: {STATE.name}/images.env (Compose), {STATE.name}/images.yaml (helmfile)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
