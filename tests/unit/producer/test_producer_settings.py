"""Read the producer's settings, and check them against the exchange's limits."""

import pytest
from pydantic import ValidationError

from crypto_analytics.producer.settings import ProducerSettings


def test_without_a_database_user_the_gap_check_is_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTGRES_USER", raising=False)
    assert ProducerSettings().checks_gaps is False
    monkeypatch.setenv("POSTGRES_USER", "producer")
    assert ProducerSettings().checks_gaps is True
    monkeypatch.setenv("GAP_CHECK_SECONDS", "0")
    assert ProducerSettings().checks_gaps is False


def test_the_regular_catch_up_can_be_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ProducerSettings().CATCH_UP_SECONDS == 60
    monkeypatch.setenv("CATCH_UP_SECONDS", "0")
    assert ProducerSettings().CATCH_UP_SECONDS == 0


def test_the_exchange_s_limits_bound_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ProducerSettings().policy.hand_over == 23.5 * 3600
    for name, value in (("HANDOVER_HOURS", "25"), ("STREAMS_PER_CONNECTION", "1025"), ("BINANCE_WEIGHT_LIMIT", "79")):
        with monkeypatch.context() as context:
            context.setenv(name, value)
            with pytest.raises(ValidationError, match=name):
                ProducerSettings()
