"""The port that is suggested in place of a taken one exists."""

import pytest

from ops.common.loopback import another_port, free_or_move


@pytest.mark.parametrize(("taken", "suggested"), [(9092, 19092), (55535, 65535), (55536, 45536), (65535, 55535)])
def test_the_suggested_port_exists(taken: int, suggested: int) -> None:
    assert another_port(taken) == suggested


def test_the_hint_finds_the_holder_and_moves_the_setting() -> None:
    hint = free_or_move("KAFKA_PORT", 60000, "make compose-up", "kind: make down")
    find = "stop the program that listens on it (ss -ltnp 'sport = :60000'; kind: make down)"
    assert hint == f"{find}, or: make compose-up KAFKA_PORT=50000"
