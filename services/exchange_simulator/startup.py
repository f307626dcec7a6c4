"""The start of the process: command line, settings from the environment, and the log on standard error."""

import logging
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter

import structlog
from pydantic import ValidationError

from exchange_simulator import __version__
from exchange_simulator.settings import SimulatorSettings


def command_line(description: str) -> ArgumentParser:
    """Return the parser of the command line; its ``--help`` lists the settings."""
    lines = ["Settings are environment variables:"]
    for name, info in SimulatorSettings.model_fields.items():
        lines.append(f"  {name:<28} {info.description} (default {plain(info.default)!r})")
    return ArgumentParser(
        prog="python -m exchange_simulator",
        description=description,
        epilog="\n".join(lines),
        formatter_class=RawDescriptionHelpFormatter,
    )


def load_settings() -> SimulatorSettings:
    """Return the settings from the environment. Exits with code 2 and one line for each wrong one."""
    try:
        return SimulatorSettings()  # type: ignore[call-arg]  # pydantic takes them from the environment
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            name = ".".join(map(str, problem["loc"]))
            cause = problem["msg"].removeprefix("Value error, ")
            sys.stderr.write(f"simulator: {name + ': ' if name else ''}{cause}\n")
        sys.stderr.write("simulator: correct these environment variables; --help lists all of them\n")
        raise SystemExit(2) from None


def configure_logging(settings: SimulatorSettings) -> structlog.stdlib.BoundLogger:
    """Write log events to standard error, one per line; log version and settings, and return the logger."""
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if settings.LOG_FORMAT == "json" else structlog.dev.ConsoleRenderer()
    )
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    processors = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=processors))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.LOG_LEVEL)
    structlog.contextvars.bind_contextvars(service="simulator")
    logger: structlog.stdlib.BoundLogger = structlog.get_logger("simulator")
    logger.info("starting", version=__version__, settings={name: plain(value) for name, value in settings})
    return logger


def plain(value: object) -> object:
    """Return a setting's value as JSON has it."""
    return value if value is None or isinstance(value, bool | int | float | tuple) else str(value)
