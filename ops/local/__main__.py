"""Run the platform on this machine: ``python -m ops.local demo``, or as ``make help`` shows."""

import argparse
import os
import sys

from pydantic import ValidationError

from crypto_analytics.runtime import shutdown
from crypto_analytics.runtime.settings import describe
from ops.common import child_environment
from ops.common.errors import Problem
from ops.local import demo, run_commands
from ops.local.display import Display
from ops.local.settings import DemoSettings
from ops.local.supervisor import Interrupted

_COMMANDS = """\
commands:
  demo     start everything, run the main job, write the report, stop everything
  batch    run the batch steps for a run in progress, or on the stores of the last one
  status   show the kinds of run, and the trades at each hop
  psql     open the database of a run in progress, or of the last one
  stop     stop every run, and the processes that a killed run left behind
"""


def main() -> int:
    """Return 0 when done, 1 when the run failed, 2 where the user has to fix something first, 130 when stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m ops.local",
        description=__doc__,
        epilog=f"{_COMMANDS}\n{describe(DemoSettings)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = {
        "demo": demo.main,
        "batch": run_commands.run_batch,
        "status": run_commands.status,
        "psql": run_commands.psql,
        "stop": run_commands.stop,
    }
    parser.add_argument("command", choices=actions)
    command = parser.parse_args().command
    child_environment.adopt(child_environment.launcher(os.environ))
    settings = _settings()
    display = Display()
    try:
        return actions[command](settings, shutdown.stop_event(), display)
    except Interrupted:
        display.print("stopped: no process is left behind")
        return 130
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1


def _settings() -> DemoSettings:
    """Return the validated settings; exit with code 2 and one line for each wrong one."""
    try:
        return DemoSettings()  # type: ignore[call-arg]  # they come from the environment
    except ValidationError as error:
        for wrong in error.errors(include_input=False, include_url=False):
            name = " ".join(map(str, wrong["loc"])) or "this combination"
            cause = wrong["msg"].removeprefix("Value error, ")
            print(Problem(f"{name} cannot be used", cause, "make help lists the variables"), file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    raise SystemExit(main())
