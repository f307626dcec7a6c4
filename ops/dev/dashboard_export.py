"""Write the dashboard of the Superset that runs into superset/assets, from where every installation takes it."""

import argparse
import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import httpx

from crypto_analytics.runtime.settings import load
from ops.common.console import console
from ops.common.errors import Problem
from ops.common.loopback import LOOPBACK
from ops.common.paths import ROOT
from ops.common.settings import OpsSettings
from ops.compose import project as compose
from ops.dev import dashboard_bundle
from ops.kubernetes import access
from ops.local import passwords
from ops.local.run_folders import RunFolders
from ops.local.settings import DemoSettings
from ops.platform import make_command
from ops.platform.endpoints import SUPERSET_ADMIN

ASSETS = ROOT / "superset" / "assets"
SLUG = "crypto"
TIMEOUT = 60.0


def main(settings: OpsSettings, arguments: list[str]) -> int:
    """Export the dashboard and print the changed files."""
    argparse.ArgumentParser(prog="python -m ops dashboard-export", description=__doc__).parse_args(arguments)
    out = console()
    with closing(log_in(settings)) as superset:
        changed = write(dashboard_bundle.bundle(export(superset)), ASSETS)
        out.print(f"from {superset.base_url}", markup=False, soft_wrap=True)
    for name, how in changed.items():
        out.print(f"{how:<8} superset/assets/{name}", markup=False, soft_wrap=True)
    out.print("next: git diff superset/assets, then commit it" if changed else "nothing has changed")
    return 0


def log_in(settings: OpsSettings) -> httpx.Client:
    """Return a client of the Superset that runs here, logged in as its admin.

    Raises:
        Problem: none answers, or none takes the password.
    """
    failures = []
    for port, password in _places(settings):
        client = httpx.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=TIMEOUT, trust_env=False)
        body = {"username": SUPERSET_ADMIN, "password": password, "provider": "db"}
        try:
            answer = client.post("/api/v1/security/login", json=body).raise_for_status()
        except httpx.HTTPError as error:
            failures.append(f"port {port}: {error or type(error).__name__}")
            client.close()
            continue
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return client
    cause = "; ".join(failures) or "neither in the cluster nor in Compose nor in the local run"
    raise Problem("there is no Superset to export from", cause, f"{make_command.make_up()}, or: make demo BI=1")


def _places(settings: OpsSettings) -> Iterator[tuple[int, str]]:
    """Yield the port and the admin password of each running installation."""
    for installed in (access.find(settings), compose.installation()):
        if installed is not None and "superset" in installed.components:
            yield installed.ports["SUPERSET_PORT"], installed.passwords["SUPERSET_ADMIN_PASSWORD"]
    demo = load(DemoSettings, "local run")
    secrets = RunFolders(demo.DEMO_DIR.resolve(), "play").secrets
    if secrets.exists():
        yield demo.SUPERSET_PORT, passwords.load(secrets).superset_admin


def export(superset: httpx.Client) -> dict[str, str]:
    """Return the files of the dashboard's export, without their outermost folder.

    Raises:
        Problem: it has no such dashboard.
    """
    found = superset.get(f"/api/v1/dashboard/{SLUG}")
    if found.status_code != httpx.codes.OK:
        cause = f"{superset.base_url}: {found.status_code} {found.reason_phrase}"
        raise Problem(f"the dashboard {SLUG} is missing", cause, "install it again: make up, or make demo BI=1")
    number = found.json()["result"]["id"]
    answer = superset.get("/api/v1/dashboard/export/", params={"q": f"!({number})"}).raise_for_status()
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {name.partition("/")[2]: archive.read(name).decode() for name in archive.namelist()}


def write(files: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Write exactly these files to ``folder``; return the change of each changed file: new, changed or removed."""
    present = {str(path.relative_to(folder)) for path in folder.rglob("*.yaml")}
    done = {}
    for name in sorted(present - set(files)):
        (folder / name).unlink()
        done[name] = "removed"
    for name, text in files.items():
        path = folder / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        done[name] = "changed" if path.is_file() else "new"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return done
