"""Read the API by clients of the exchange, unchanged but for their hosts: ``python stock_clients.py CLIENT HOST:PORT``.

Runs in the environment ``clients``. Prints a JSON object: the rows of REST first, then, with ``--live``, the events of
the streams, until there are enough. The client's own types are printed as text, so that each digit can be compared.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

SYMBOL, PAIR, BASE_QUOTE = "BTCUSDT", "BTC/USDT", "BTC-USDT"
EVENTS = 5  # of each stream
SECONDS = 60.0
Rows = dict[str, Any]


def show(rows: Rows) -> None:
    """Print one part of the result as a line."""
    print(json.dumps(rows, default=str), flush=True)


def ccxt_sync(host: str) -> None:
    """Klines, trades and the ticker by ccxt."""
    import ccxt

    exchange = ccxt.binance({"options": {"fetchMarkets": {"types": ["spot"]}}})
    exchange.urls["api"]["public"] = f"http://{host}/api/v3"
    show({"klines": exchange.public_get_klines({"symbol": SYMBOL, "interval": "1m", "limit": 1000})})
    show({"ohlcv": exchange.fetch_ohlcv(PAIR, "5m", limit=1000)})
    show({"trades": [trade["info"] for trade in exchange.fetch_trades(PAIR, limit=1000)]})
    show({"ticker": exchange.fetch_ticker(PAIR)["info"]})


async def ccxt_pro(host: str) -> None:
    """Live candles and trades by ccxt.pro."""
    import ccxt.pro

    exchange = ccxt.pro.binance({"options": {"fetchMarkets": {"types": ["spot"]}}})
    exchange.urls["api"]["public"] = f"http://{host}/api/v3"
    exchange.urls["api"]["ws"]["spot"] = f"ws://{host}/ws"
    try:
        for _ in range(EVENTS):
            show({"trade": [trade["info"] for trade in await exchange.watch_trades(PAIR)][-1]})
        for _ in range(EVENTS):
            show({"candle": (await exchange.watch_ohlcv(PAIR, "1m"))[-1]})
    finally:
        await exchange.close()


def python_binance_sync(host: str) -> None:
    """Klines and trades by python-binance."""
    from binance import Client

    client = Client(ping=False)
    client.API_URL = f"http://{host}/api"
    show({"klines": client.get_klines(symbol=SYMBOL, interval=Client.KLINE_INTERVAL_1MINUTE, limit=1000)})
    show({"trades": client.get_aggregate_trades(symbol=SYMBOL, limit=1000)})
    show({"recent": client.get_recent_trades(symbol=SYMBOL, limit=1000)})
    show({"ticker": client.get_ticker(symbol=SYMBOL)})


async def python_binance_live(host: str) -> None:
    """Live klines and trades by python-binance."""
    from binance import AsyncClient, BinanceSocketManager

    client = AsyncClient()
    manager = BinanceSocketManager(client)
    manager.STREAM_URL = f"ws://{host}/"
    try:
        for name, socket in (("kline", manager.kline_socket(SYMBOL)), ("trade", manager.trade_socket(SYMBOL))):
            async with socket as stream:
                for _ in range(EVENTS):
                    show({name: await stream.recv()})
    finally:
        await client.close_connection()


def cryptofeed_live(host: str) -> None:
    """Live candles and trades by cryptofeed, which takes the symbols from REST."""
    from cryptofeed import FeedHandler
    from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
    from cryptofeed.defines import CANDLES, TRADES
    from cryptofeed.exchanges import Binance

    # It accepts TLS only.
    Binance.websocket_endpoints = [WebsocketEndpoint(f"wss://{host}")]
    Binance.rest_endpoints = [RestEndpoint(f"https://{host}", routes=Routes("/api/v3/exchangeInfo"))]
    left = {"candle": EVENTS, "trade": EVENTS}
    handler = FeedHandler({"log": {"disabled": True}, "uvloop": False})

    def seen(name: str, event: Any) -> None:
        show({name: event.raw})
        left[name] -= 1
        if max(left.values()) <= 0:
            asyncio.get_running_loop().stop()

    async def candle(event: Any, received: float) -> None:
        seen("candle", event)

    async def trade(event: Any, received: float) -> None:
        seen("trade", event)

    callbacks = {CANDLES: candle, TRADES: trade}
    feed = Binance(
        symbols=[BASE_QUOTE], channels=list(callbacks), callbacks=callbacks, candle_interval="1m",
        candle_closed_only=False,
    )  # fmt: skip
    handler.add_feed(feed)
    handler.run(install_signal_handlers=False)


def within_time(live: Callable[[str], Any]) -> Callable[[str], None]:
    """Return ``live`` as a function that ends after SECONDS."""
    return lambda host: asyncio.run(asyncio.wait_for(live(host), SECONDS))


CLIENTS: dict[str, Callable[[str], None]] = {
    "ccxt": ccxt_sync,
    "ccxt.pro": within_time(ccxt_pro),
    "python-binance": python_binance_sync,
    "python-binance-live": within_time(python_binance_live),
    "cryptofeed": cryptofeed_live,
}

if __name__ == "__main__":
    CLIENTS[sys.argv[1]](sys.argv[2])
