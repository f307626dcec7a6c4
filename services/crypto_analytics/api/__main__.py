"""Run ``python -m crypto_analytics.api``: serve candles, trades, their quality and the live page, read only."""

import socket

import uvicorn
from structlog.stdlib import BoundLogger

from crypto_analytics.api.application import create_app
from crypto_analytics.api.context import ApiContext
from crypto_analytics.api.live.sockets import FrameProtocol
from crypto_analytics.api.settings import ApiSettings
from crypto_analytics.runtime import logs, shutdown
from crypto_analytics.runtime.settings import command_line, load

_DRAIN_SECONDS = 5
_BACKLOG = 2048
_MOST_REQUEST_BYTES = 64 * 1024
_UNREAD_MILLISECONDS = 30_000


class Server(uvicorn.Server):
    """A server that tells the application when it begins to stop."""

    def __init__(self, config: uvicorn.Config, context: ApiContext) -> None:
        super().__init__(config)
        self._context = context

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the responses that never end by themselves, then stop as uvicorn does."""
        self._context.stopping.set()
        await super().shutdown(sockets)


def main() -> int:
    """Return 0 after a stop by signal, 1 if the address cannot be used."""
    parser = command_line("api", __doc__, ApiSettings)
    parser.parse_args()
    settings = load(ApiSettings, "api")
    log = logs.setup("api", settings)
    # uvicorn raises the signal that stopped it again, for which this handler is then the one.
    shutdown.stop_event()
    try:
        listener = _listen(settings)
    except OSError as error:
        log.error("listen_failed", error=str(error), next="set API_HOST and API_PORT to a free address of this machine")
        return 1
    return serve(settings, listener, log)


def serve(settings: ApiSettings, listener: socket.socket, log: BoundLogger) -> int:
    """Serve on ``listener`` until SIGTERM or SIGINT; return 0, or 1 if the application could not start."""
    app = create_app(settings, log)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws=FrameProtocol,
        ws_max_size=_MOST_REQUEST_BYTES,
        # The exchange's: a ping every 20 seconds, and the end of a connection that does not answer for a minute.
        ws_ping_interval=20,
        ws_ping_timeout=60,
        ws_per_message_deflate=False,  # it would compress each message once for each client
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.API_TRUSTED_PROXIES),
        forwarded_allow_ips=settings.API_TRUSTED_PROXIES,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    host, port = listener.getsockname()[:2]
    log.info("listening", host=host, port=port)
    server = Server(config, app.state.context)
    server.run(sockets=[listener])
    if not server.started:
        log.error("gave_up", next="fix the cause above and start again")
        return 1
    log.info("stopped")
    return 0


def _listen(settings: ApiSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.API_HOST else socket.AF_INET
    listener = socket.create_server((settings.API_HOST, settings.API_PORT), family=family, backlog=_BACKLOG)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Accepted sockets inherit it: the kernel ends a connection whose client has not read anything for so long.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MILLISECONDS)
    return listener


if __name__ == "__main__":
    shutdown.end_process(main())
