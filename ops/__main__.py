"""The targets for Kubernetes and Compose: ``python -m ops up``, or the targets that ``make help`` lists."""

import argparse
import sys
from collections.abc import Callable

from crypto_analytics.runtime.settings import describe, load
from ops import airflow_run, nuke, status, urls
from ops.common.errors import Problem
from ops.common.settings import OpsSettings
from ops.compose import batch as compose_batch
from ops.compose import down as compose_down
from ops.compose import env_file
from ops.compose import up as compose_up
from ops.dev import dashboard_export
from ops.kubernetes import doctor, down, logs, memory, port_forward, sizing, up
from ops.kubernetes.kube_api import ApiUnavailable
from ops.platform import make_command

Command = Callable[[OpsSettings, list[str]], int]
COMMANDS: dict[str, Command] = {
    "doctor": doctor.main,
    "sizing": sizing.main,
    "cluster": up.make_cluster,
    "load": up.load_images,
    "up": up.main,
    "status": status.main,
    "urls": urls.main,
    "open": urls.open_pages,
    "forward": port_forward.main,
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
    """Run a command; return its exit code, 1 on an error that the user can fix, 130 after Ctrl-C or Ctrl-D."""
    parser = argparse.ArgumentParser(
        prog="python -m ops",
        description=__doc__,
        epilog=describe(OpsSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="see the command's own --help")
    chosen = parser.parse_args()
    settings = load(OpsSettings, "ops")
    try:
        return COMMANDS[chosen.command](settings, chosen.arguments)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    except ApiUnavailable as error:
        print(Problem(f"{settings.KUBE_CONTEXT} does not answer", str(error), make_command.make_up()), file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):  # Ctrl-D ends the input of a question
        print(f"interrupted; make {chosen.command} can be run again", file=sys.stderr)
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
