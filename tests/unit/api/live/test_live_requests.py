"""Requests of WebSocket clients and names of streams: the exchange's answers, and no exception for any text."""

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.api.live.messages import aggregated, trade
from crypto_analytics.api.live.requests import MOST_STREAMS, Refused, RequestRate, handle, parse_unit
from crypto_analytics.api.live.streams import UnknownStream, parse
from crypto_analytics.api.time_unit import MICROSECOND, MILLISECOND
from crypto_analytics.binance.rest import AggTrade
from crypto_analytics.producer.rest_trades import agg_trade_object
from tests.unit.trade_json import trade_json

FOLLOWED = {parse("btcusdt@kline_1m"), parse("ethusdt@trade")}


def ask(**request: object) -> dict[str, object]:
    answer: dict[str, object] = json.loads(handle(json.dumps(request), FOLLOWED, has_envelope=False).answer)
    return answer


def test_subscriptions_are_followed_left_and_listed() -> None:
    request = {"method": "SUBSCRIBE", "params": ["bnbusdt@miniTicker", "ethusdt@trade"], "id": 7}
    effect = handle(json.dumps(request), FOLLOWED, has_envelope=False)
    assert json.loads(effect.answer) == {"result": None, "id": 7}
    assert [stream.name for stream in effect.follow] == ["bnbusdt@miniTicker"]  # the other one is followed already
    effect = handle(json.dumps(request | {"method": "UNSUBSCRIBE"}), FOLLOWED, has_envelope=False)
    assert [stream.name for stream in effect.leave] == ["bnbusdt@miniTicker", "ethusdt@trade"]
    assert ask(method="LIST_SUBSCRIPTIONS", id=None) == {"result": ["btcusdt@kline_1m", "ethusdt@trade"], "id": None}


def test_the_envelope_is_a_property() -> None:
    assert ask(method="GET_PROPERTY", params=["combined"], id=1) == {"result": False, "id": 1}
    request = {"method": "SET_PROPERTY", "params": ["combined", True], "id": 2}
    assert handle(json.dumps(request), FOLLOWED, has_envelope=False).has_envelope is True


@pytest.mark.parametrize(
    ("request_text", "code"),
    [
        ("", 3),
        ("{", 3),
        ("[" * 100_000, 3),
        ("9" * 10_000, 3),
        ("[]", 2),
        ('{"method":"LISTEN","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":"btcusdt@trade","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["btcusdt@depth"],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["\\ud800@x"],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[],"id":1.5}', 2),
        ('{"method":"SUBSCRIBE","params":[],"id":true}', 2),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1),
        ('{"method":"SET_PROPERTY","params":["other",true],"id":1}', 0),
    ],
)
def test_an_invalid_request_is_answered_with_the_exchanges_code(request_text: str, code: int) -> None:
    answer = json.loads(handle(request_text, FOLLOWED, has_envelope=True).answer)
    assert answer["error"]["code"] == code


def test_a_connection_has_at_most_1024_streams() -> None:
    names = [f"s{number}@trade" for number in range(MOST_STREAMS)]
    answer = ask(method="SUBSCRIBE", params=names, id=1)
    assert answer["error"] == {"code": 2, "msg": "Invalid request: more than 1024 streams"}
    assert ask(method="SUBSCRIBE", params=names[2:], id=1) == {"result": None, "id": 1}


@given(st.text() | st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.sampled_from(["SUBSCRIBE", "combined"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["method", "params", "id"]) | st.text(), inner),
).map(json.dumps))  # fmt: skip
def test_any_text_has_an_answer(text: str) -> None:
    answer = json.loads(handle(text, set(FOLLOWED), has_envelope=False).answer)
    assert "id" in answer
    assert ("result" in answer) != ("error" in answer)


def test_names_of_streams() -> None:
    assert parse("BTCUSDT@kline_1M").name == "btcusdt@kline_1M"
    eastern = parse("btcusdt@kline_1d@+08:00")
    assert eastern.calendar is not None
    assert eastern.calendar.start_of(1_767_225_600_000_000) == 1_767_225_600_000_000 - 8 * 3_600_000_000
    for name in (
        "",
        "@",
        "btcusdt",
        "@trade",
        "btcusdt@kline_",
        "btcusdt@kline_2m",
        "btcusdt@kline_1d@+09:00",
        "!x@arr",
    ):
        with pytest.raises(UnknownStream):
            parse(name)


def test_more_than_five_requests_a_second_are_too_many() -> None:
    times = Random(1)
    now = 0.0
    rate = RequestRate(lambda: now)
    for _ in range(100):
        now += 0.2 + times.random() / 10
        assert not rate.is_exceeded()
    assert [rate.is_exceeded() for _ in range(6)][-1]


@pytest.mark.parametrize("stored", [1_741_046_401_271, 1_741_046_401_271_000])
def test_times_are_in_the_unit_of_the_client(stored: int) -> None:
    value = trade_json(7, time=stored)
    for unit, time in ((MILLISECOND, 1_741_046_401_271), (MICROSECOND, 1_741_046_401_271_000)):
        for payload in (trade(value, unit), aggregated(value, unit)):
            assert json.loads(payload)["T"] == time
    assert trade(value, MICROSECOND if stored > 10**13 else MILLISECOND) == value.decode()


def test_subscriptions_have_the_unit_of_their_connection() -> None:
    request = json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@trade", "btcusdt@kline_1m"], "id": 1})
    effect = handle(request, FOLLOWED, MICROSECOND, has_envelope=False)
    assert [stream.unit for stream in effect.follow] == [MICROSECOND, MICROSECOND]
    assert (parse_unit("microsecond"), parse_unit("MILLISECOND")) == (MICROSECOND, MILLISECOND)
    with pytest.raises(Refused, match="timeUnit"):
        parse_unit("SECOND")


def test_an_aggregated_trade_has_the_id_of_its_first_trade_as_in_rest() -> None:
    value = agg_trade_object("BTCUSDT", AggTrade(a=5, p="2.0", q="1.5", f=70, l=72, T=1_741_046_401_271_999, m=True))
    assert json.loads(aggregated(value, MILLISECOND)) == {
        "e": "aggTrade", "E": 1_741_046_401_271, "s": "BTCUSDT", "a": 70, "p": "2.0", "q": "1.5", "f": 70, "l": 72,
        "T": 1_741_046_401_271, "m": True, "M": True,
    }  # fmt: skip


def test_a_trade_is_also_an_aggregated_trade_of_itself() -> None:
    made = trade_json(7, price="97000.10000000", quantity="0.00001000", time=1_741_046_401_271)
    assert json.loads(aggregated(made, MILLISECOND)) == {
        "e": "aggTrade",
        "E": 1_741_046_401_272,
        "s": "BTCUSDT",
        "a": 7,
        "p": "97000.10000000",
        "q": "0.00001000",
        "f": 7,
        "l": 7,
        "T": 1_741_046_401_271,
        "m": True,
        "M": True,
    }
