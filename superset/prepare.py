"""Reconcile Superset with its declared state: ``python prepare.py``. It can run again at any time.

It migrates Superset's tables and permissions, creates the user admin or sets its password, and imports ``assets/``: the
database, datasets, charts and the dashboard, with its link to the live page. Changes made in Superset are overwritten.
"""

import logging
import os
import sys
from pathlib import Path

import yaml
from preparation import fingerprint, record
from superset_config import LIVE_PAGE, analytics_url, live_page_url, required

ASSETS = Path(__file__).parent / "assets"
ADMIN = "admin"


def bundle(folder: Path) -> dict[str, str]:
    """Return the files of the bundle by name, with the addresses of the database and the live page from the settings.

    Raises:
        FileNotFoundError: the folder has no bundle.
    """
    files = {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*.yaml"))}
    if "metadata.yaml" not in files:
        raise FileNotFoundError(f"{folder} has no metadata.yaml")
    for name, text in files.items():
        if name.startswith("databases/"):
            database = yaml.safe_load(text)
            database["sqlalchemy_uri"] = analytics_url().render_as_string()
            files[name] = yaml.safe_dump(database)
        elif name.startswith("dashboards/"):
            dashboard = yaml.safe_load(text)
            for part in dashboard["position"].values():
                if isinstance(part, dict) and part["type"] == "MARKDOWN":
                    part["meta"]["code"] = part["meta"]["code"].replace(f"]({LIVE_PAGE})", f"]({live_page_url()})")
            files[name] = yaml.safe_dump(dashboard)
    return files


def main() -> int:
    """Run all steps and return 0; return 1 at the first one that fails."""
    password = required(os.environ, "SUPERSET_ADMIN_PASSWORD", "password of the user admin")
    try:
        _prepare(password, bundle(ASSETS))
    except Exception as error:
        logging.getLogger("prepare").exception("failed")
        print(f"prepare: {error}; next: fix the cause, then run it again", file=sys.stderr)
        return 1
    return 0


def _prepare(password: str, files: dict[str, str]) -> None:
    # Superset reads its configuration at import.
    from flask_migrate import upgrade  # noqa: PLC0415
    from superset.app import create_app  # noqa: PLC0415

    app = create_app()
    with app.app_context():
        from superset.commands.importers.v1.assets import ImportAssetsCommand  # noqa: PLC0415
        from superset.utils.core import override_user  # noqa: PLC0415

        from superset import appbuilder, db, security_manager  # noqa: PLC0415

        upgrade()
        print("prepare: tables are up to date", flush=True)
        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        print("prepare: roles are up to date", flush=True)
        with override_user(_admin(security_manager, password)):
            ImportAssetsCommand(files).run()
        with db.engine.begin() as connection:
            record(connection, fingerprint())
    print(f"prepare: {len(files) - 1} assets are imported", flush=True)


def _admin(manager: object, password: str) -> object:
    """Return the user admin, created or with the password changed to ``password``."""
    user = manager.find_user(ADMIN)
    if user is None:
        role = manager.find_role("Admin")
        user = manager.add_user(ADMIN, "Platform", "Admin", "admin@localhost", role, password=password)
        if not user:
            raise RuntimeError("the user admin could not be created; Superset's log names the cause")
        return user
    manager.reset_password(user.id, password)
    return user


if __name__ == "__main__":
    raise SystemExit(main())
