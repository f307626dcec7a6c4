"""A sink that keeps trades and dead letters in memory."""

from dataclasses import dataclass, field

from crypto_analytics.binance.trade_decoder import BadTrade
from crypto_analytics.core.trades import Trade
from crypto_analytics.producer.sink import Source


@dataclass
class MemorySink:
    """Keeps (symbol, trade, source) of each trade and (value, reason, source) of each dead letter."""

    trades: list[tuple[str, Trade, Source]] = field(default_factory=list)
    rejected: list[tuple[bytes, str, Source]] = field(default_factory=list)

    async def send(self, symbol: str, trade: Trade, received_at: int, source: Source) -> None:
        """Keep ``trade``."""
        self.trades.append((symbol, trade, source))

    async def reject(self, value: bytes, why: BadTrade, received_at: int, source: Source) -> None:
        """Keep ``value``."""
        self.rejected.append((value, why.reason, source))
