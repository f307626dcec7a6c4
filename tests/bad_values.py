"""Generate values that are no valid trade, each with the expected reason."""

import json
from collections.abc import Callable, Iterator
from random import Random

Good = dict[str, object]


def _good(random: Random) -> Good:
    trade_id = random.randrange(400_000_000, 500_000_000)  # never an id of the recorded data
    return {"e": "trade", "E": 1741046401271, "s": "TRXUSDT", "t": trade_id, "p": "0.23120000", "q": "83.90000000",
            "T": 1741046401271, "m": random.random() < 0.5, "M": True}  # fmt: skip


def _with(**changes: object) -> Callable[[Random], Good]:
    return lambda random: _good(random) | changes


def _digits(random: Random, count: int) -> str:
    return "".join(random.choice("123456789") for _ in range(count))


_OBJECTS: list[tuple[str, Callable[[Random], Good]]] = [
    ("wrong_shape", _with(p=0.2312)),
    ("wrong_shape", _with(p=None)),
    ("wrong_shape", _with(q=["1"])),
    ("wrong_shape", _with(t="348656870")),
    ("wrong_shape", _with(m="true")),
    ("wrong_shape", _with(T={})),
    ("wrong_shape", _with(s=7)),
    ("wrong_shape", _with(e="kline")),
    ("wrong_shape", lambda random: {k: v for k, v in _good(random).items() if k != random.choice("stpqTm")} | {"s": 1}),
    ("unknown_symbol", lambda random: _good(random) | {"s": f"X{random.randrange(10**6)}USDT"}),
    ("futures", _with(X="INSURANCE_FUND")),
    ("futures", _with(s="TRXUSDT_250328")),
    ("unknown_symbol", _with(s="")),
    ("unknown_symbol", _with(s="trxusdt")),
    ("bad_id", _with(t=-1)),
    ("bad_id", lambda random: _good(random) | {"t": -random.randrange(1, 10**9)}),
    ("bad_id", lambda random: _good(random) | {"t": 2**53 + random.randrange(1, 10**6)}),
    ("bad_price", lambda random: _good(random) | {"p": f"-{random.randrange(1, 100)}.5"}),
    ("bad_price", _with(p="0.00000000")),
    ("bad_price", lambda random: _good(random) | {"p": f"0.{_digits(random, 30)}"}),
    ("bad_price", lambda random: _good(random) | {"p": _digits(random, 30)}),
    ("bad_price", lambda random: _good(random) | {"p": f"{random.randrange(1, 9)}e{random.randrange(2, 300)}"}),
    ("bad_price", _with(p="99999999999.99999999")),
    ("bad_price", _with(p="Infinity")),
    ("bad_quantity", _with(q="NaN")),
    ("bad_quantity", _with(q="")),
    ("bad_quantity", lambda random: _good(random) | {"q": f"-{random.randrange(1, 100)}"}),
    ("bad_quantity", lambda random: _good(random) | {"q": f"{random.randrange(9)}.{_digits(random, 9)}"}),
    ("bad_time", _with(T=0)),
    ("bad_time", lambda random: _good(random) | {"T": 4_102_444_800_000 + random.randrange(10**9)}),
    ("bad_time", lambda random: _good(random) | {"T": 10**17 + random.randrange(10**9)}),
    ("bad_time", _with(T=-1741046401271)),
]
_RAW: list[tuple[str, Callable[[Random], bytes | None]]] = [
    ("not_json", lambda random: b""),
    ("not_json", lambda random: None),
    ("not_json", lambda random: b"\x00" + random.randbytes(random.randrange(1, 60))),
    ("not_json", lambda random: json.dumps(_good(random)).encode()[: random.randrange(1, 120)]),
    ("not_json", lambda random: json.dumps(_good(random)).encode() * 2),
    ("not_json", lambda random: b'{"e":"trade","x":' + b"[" * 5000),
    ("wrong_shape", lambda random: json.dumps([_good(random)]).encode()),
    ("wrong_shape", lambda random: str(random.random()).encode()),
    ("wrong_shape", lambda random: b"null"),
]


def bad_values(random: Random, count: int) -> Iterator[tuple[bytes | None, str]]:
    """Yield ``count`` bad values with their reasons, each kind in turn; a few of them are one megabyte long."""
    kinds = [*_OBJECTS, *_RAW]
    for number in range(count - 3):
        reason, make = kinds[number % len(kinds)]
        made = make(random)
        yield (json.dumps(made).encode() if isinstance(made, dict) else made), reason
    yield json.dumps(_good(random) | {"s": "A" * 1_000_000}).encode(), "unknown_symbol"
    yield b"[" + b" " * 1_000_000, "wrong_shape"
    yield b'"' + b"x" * 1_000_000 + b'"', "wrong_shape"
