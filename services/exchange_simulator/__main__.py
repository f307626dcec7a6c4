"""``python -m exchange_simulator``."""

import asyncio
import signal
import sys

from exchange_simulator.recordings import RecordingError
from exchange_simulator.server import Simulator
from exchange_simulator.settings import SimulatorSettings
from exchange_simulator.startup import command_line, configure_logging, load_settings

_DESCRIPTION = """\
Serve the exchange's WebSocket streams and REST interface on one port, with a market generated from a seed or a recorded
file. The play starts with the first client. /sim/status returns its state; POST /sim/faults takes scripted faults,
for example '[{"type": "drop", "at": 1000}, {"type": "rest", "status": 429, "count": 3}]' (all of them are described
in exchange_simulator/faults.py). /metrics and /healthz are on the same port.
"""


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    command_line(_DESCRIPTION).parse_args()
    settings = load_settings()
    logger = configure_logging(settings)
    asyncio.run(_run(settings))
    logger.info("stopped")


async def _run(settings: SimulatorSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    try:
        simulator = Simulator(settings)
        await simulator.start()
    except RecordingError as error:
        sys.stderr.write(f"simulator: {error}; look at it: {error.command}\n")
        sys.exit(2)  # as for wrong settings: a restart does not help
    except OSError as error:
        address = f"{settings.SIM_HOST}:{settings.SIM_PORT}"
        sys.exit(f"simulator: cannot listen on {address}: {error}; choose another port with SIM_PORT")
    try:
        await simulator.serve_until(stop)
    finally:
        await simulator.stop()


if __name__ == "__main__":
    main()
