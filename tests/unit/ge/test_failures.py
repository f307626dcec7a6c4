"""Describe the expectations that failed."""

from typing import Any

from ge.failures import describe_failures


def result(kind: str, found: dict[str, Any], *, success: bool = False, **kwargs: object) -> dict[str, Any]:
    return {
        "success": success,
        "expectation_config": {"type": kind, "kwargs": {"batch_id": "b", **kwargs}},
        "result": found,
        "exception_info": {"raised_exception": False},
    }


def test_a_failing_column_is_named_with_counts_and_the_keys_of_examples() -> None:
    found = {
        "element_count": 4320,
        "unexpected_count": 2,
        "partial_unexpected_list": [-5.0],
        "partial_unexpected_index_list": [
            {"symbol": "BTCUSDT", "open_time": "2026-01-05T00:03:00+00:00", "volume": -5}
        ],
    }
    assert describe_failures([result("expect_column_values_to_be_between", found, column="volume", min_value=0)]) == [
        "expect_column_values_to_be_between(volume, min_value=0): 2 of 4320 rows; "
        "symbol=BTCUSDT open_time=2026-01-05T00:03:00+00:00 volume=-5"
    ]


def test_a_rule_of_our_own_shows_its_rows() -> None:
    found = {
        "observed_value": 10,
        "details": {"unexpected_rows": [{"symbol": "S", "low": 3}, {"symbol": "T", "low": 4}]},
    }
    assert describe_failures([result("expect_ohlc_in_order", found)]) == [
        "expect_ohlc_in_order(): 10 rows; symbol=S low=3; symbol=T low=4"
    ]


def test_keys_without_an_index_and_types_are_shown_too() -> None:
    twice = {"element_count": 3, "unexpected_count": 2, "partial_unexpected_list": [{"symbol": "S"}]}
    kind = result("expect_compound_columns_to_be_unique", twice, column_list=["symbol", "open_time"])
    wrong = result("expect_column_values_to_be_of_type", {"observed_value": "DOUBLE"}, column="open", type_="NUMERIC")
    assert describe_failures([kind, wrong]) == [
        "expect_compound_columns_to_be_unique(symbol, open_time): 2 of 3 rows; symbol=S",
        "expect_column_values_to_be_of_type(open, type_=NUMERIC): found DOUBLE",
    ]


def test_an_expectation_that_could_not_be_evaluated_fails_with_its_cause() -> None:
    broken = result("expect_x", {}, column="volume") | {
        "exception_info": {
            "metric a": {"raised_exception": True, "exception_message": "no such column"},
            "metric b": {"raised_exception": False, "exception_message": ""},
        }
    }
    assert describe_failures([broken]) == ["expect_x(volume): could not be checked: no such column"]


def test_what_holds_is_not_mentioned() -> None:
    assert describe_failures([result("expect_x", {}, success=True)]) == []
