"""``/v1/health``: the state of each hop on the way of the data, in words."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from crypto_analytics.api import platform_state
from crypto_analytics.api.context import ApiContext, Context
from crypto_analytics.api.database import QueryTooSlow, StoreUnavailable

router = APIRouter()

_QUIET_SECONDS = 60.0
_SILENT_SECONDS = 300.0
_BATCH_LATE_SECONDS = 900.0  # three runs

State = Literal["ok", "warning", "failed", "unknown"]


class Hop(BaseModel):
    """One hop, its state, and what is known about it."""

    name: str
    state: State
    words: str


class Health(BaseModel):
    """All hops in the order of the data's way."""

    hops: list[Hop]


@router.get("/health", summary="State of each hop")
async def health(context: Context) -> Health:
    """Return the state of stream, Kafka, candles, batch and quality gate, as PostgreSQL shows them."""
    try:
        hops = [*await _streaming(context), await _batch(context), await _gate(context)]
    except (StoreUnavailable, QueryTooSlow):
        words = "PostgreSQL does not answer"
        hops = [
            Hop(name=name, state="unknown", words=words) for name in ("stream", "kafka", "candles", "batch", "gate")
        ]
    return Health(hops=hops)


async def _streaming(context: ApiContext) -> list[Hop]:
    """Return stream, Kafka and candles. A changed candle proves all three; without one, the first two are unknown."""
    followed = [life.symbol for life in (await context.symbols.known()).values() if life.status == "followed"]
    states = await platform_state.symbols(context, followed)
    newest = max((state.changed_at for state in states if state.changed_at), default=None)
    if newest is None:
        candles = Hop(name="candles", state="unknown", words="no candle yet")
    else:
        age = platform_state.seconds_since(context, newest)
        quiet: State = "failed" if age > _SILENT_SECONDS else "warning"
        words = f"a candle changed {words_of(age)} ago"
        candles = Hop(name="candles", state="ok" if age <= _QUIET_SECONDS else quiet, words=words)
    gaps = sum(state.gaps for state in states)
    if candles.state != "ok":
        before = [Hop(name=name, state="unknown", words="no trade arrives from it") for name in ("stream", "kafka")]
        return [*before, candles]
    stream_words = "trades arrive" if not gaps else f"trades arrive; {gaps} gap{'s' * (gaps > 1)} open"
    return [
        Hop(name="stream", state="warning" if gaps else "ok", words=stream_words),
        Hop(name="kafka", state="ok", words="trades pass through it"),
        candles,
    ]


async def _batch(context: ApiContext) -> Hop:
    built = await platform_state.last_batch(context)
    if built is None:
        return Hop(name="batch", state="unknown", words="no batch has run yet")
    age = platform_state.seconds_since(context, built)
    return Hop(
        name="batch",
        state="ok" if age <= _BATCH_LATE_SECONDS else "warning",
        words=f"gold was built {words_of(age)} ago",
    )


async def _gate(context: ApiContext) -> Hop:
    runs = await platform_state.gate_runs(context, 1)
    if not runs:
        return Hop(name="gate", state="unknown", words="it has not run yet")
    [run] = runs
    age = words_of(platform_state.seconds_since(context, run.run_time))
    if run.succeeded:
        return Hop(name="gate", state="ok", words=f"{run.expectations} expectations held {age} ago")
    words = f"{run.failed} of {run.expectations} expectations failed {age} ago: gold is not built until they hold"
    return Hop(name="gate", state="failed", words=words)


def words_of(seconds: float) -> str:
    """Return a duration in words: 0.4 s, 12 s, 3 min, 2 h, 5 days."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for limit, unit, length in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds // 86_400)} days"
