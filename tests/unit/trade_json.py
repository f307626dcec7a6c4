"""Trades in the exchange's format."""


def trade_json(
    trade_id: int,
    *,
    symbol: str = "BTCUSDT",
    price: str = "27123.45000000",
    quantity: str = "0.50000000",
    time: int = 1741046401271,
    maker: bool = True,
    best: bool = True,
) -> bytes:
    """Return the value of a trade with the fields in the stream's order."""
    sides = ["true" if side else "false" for side in (maker, best)]
    return (
        f'{{"e":"trade","E":{time + 1},"s":"{symbol}","t":{trade_id},"p":"{price}","q":"{quantity}","T":{time},'
        f'"m":{sides[0]},"M":{sides[1]}}}'
    ).encode()
