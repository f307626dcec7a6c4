"""Structured logs on standard error: an event name, fields, and in failures the next step for the operator."""

import logging
import sys

import structlog

from crypto_analytics import __version__
from crypto_analytics.runtime.settings import LogSettings, effective


def setup(service: str, settings: LogSettings) -> structlog.stdlib.BoundLogger:
    """Configure logging for the process, log version and effective configuration, and return the service's logger."""
    configure(service, settings)
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(service)
    logger.info("starting", version=__version__, settings=effective(settings))
    return logger


def configure(service: str, settings: LogSettings) -> None:
    """Configure logging for the process."""
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
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.LOG_LEVEL)
    # At INFO they log each request or frame, or what the service logs itself.
    for verbose in ("httpx", "httpcore", "py4j", "websockets", "urllib3", "uvicorn"):
        logging.getLogger(verbose).setLevel(max(logging.WARNING, root.level))
    structlog.contextvars.bind_contextvars(service=service)
