"""The operators' targets: ``python -m ops up``, or as ``make help`` shows."""

import argparse
import sys
from collections.abc import Callable

from crypto_analytics.runtime.settings import describe, load
from embedded.problems import Problem
from ops import (
    airflow_run,
    compose_batch,
    compose_down,
    compose_up,
    dashboard_export,
    doctor,
    down,
    env_file,
    forward,
    hints,
    logs,
    memory,
    nuke,
    status,
    up,
    urls,
)
from ops.cluster import ApiAway
from ops.settings import OpsSettings

Command = Callable[[OpsSettings, list[str]], int]
COMMANDS: dict[str, Command] = {
    "doctor": doctor.main,
    "up": up.main,
    "status": status.main,
    "urls": urls.main,
    "forward": forward.main,
    "logs": logs.main,
    "memory": memory.main,
    "airflow-run": airflow_run.main,
    "down": down.main,
    "nuke": nuke.main,
    "env": env_file.main,
    "compose-up": compose_up.main,
    "compose-batch": compose_batch.main,
    "compose-down": compose_down.main,
    "dashboard-export": dashboard_export.main,
}


def main() -> int:
    """Return 0 when done, 1 where something has to be mended first, 130 when interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m ops",
        description=__doc__,
        epilog=describe(OpsSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="as the command's own --help tells")
    chosen = parser.parse_args()
    settings = load(OpsSettings, "ops")
    try:
        return COMMANDS[chosen.command](settings, chosen.arguments)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    except ApiAway as error:
        print(Problem(f"{settings.KUBE_CONTEXT} does not answer", str(error), hints.make_up()), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"stopped; make {chosen.command} can be run again", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
