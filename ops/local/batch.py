"""The batch steps as a child of the run, or beside a run in progress."""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from signal import SIGTERM

from ops.common.paths import ROOT
from ops.local import service_settings
from ops.local.passwords import Passwords
from ops.local.programs import Program, job
from ops.local.run_folders import RunFolders
from ops.setup import dbt_docs, npm_files
from ops.setup.environments import python_of

SECONDS = 900
PAGE_FILES = ROOT / "ge" / "page_files.json"


def program(folders: RunFolders, passwords: Passwords) -> Program:
    """Return the batch steps, in the DAG's order, for the run whose state is in ``folders``."""
    chosen, report = settings(folders, passwords), str(folders.batch_file)
    # The real exchange and a webhook for failures are reached through the user's proxies, a simulated exchange is not.
    outside = folders.mode == "live" or bool(os.environ.get("ALERT_WEBHOOK_URL"))
    batch = job("batch", "crypto_analytics.batch", chosen, "--report", report, outside=outside)
    return replace(batch, death_signal=SIGTERM)  # it has children of its own to stop


def settings(folders: RunFolders, passwords: Passwords) -> Mapping[str, str]:
    """Return the settings of all the steps."""
    config = service_settings.RunConfig.load(folders.run_file)
    return {
        **service_settings.market(config.source),
        **service_settings.postgres(config.addresses, passwords, "writer"),  # each step replaces it by its own login
        **service_settings.objects(folders),
        **service_settings.role_passwords(passwords),
        "BATCH_PYTHON_SERVICES": sys.executable,
        "BATCH_DBT": str(python_of("dbt").with_name("dbt")),
        "BATCH_PYTHON_GE": str(python_of("ge")),
        "BATCH_PROJECT_DIR": str(ROOT),
        "GE_PAGE_FILES": str(npm_files.cached(npm_files.listed(PAGE_FILES)) or ""),
        "GE_DBT_DOCS": str(dbt_docs.cached() or ""),
        "DBT_TARGET_PATH": str(folders.dbt / "target"),
        "DBT_LOG_PATH": str(folders.dbt / "logs"),
    }
