"""Fixtures of all tests of ops."""

import pytest

from ops.platform import make_command


@pytest.fixture(autouse=True)
def nothing_asked_or_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the environment's variables and the checkout's last `make up` out of the suggested commands."""
    monkeypatch.setattr(make_command, "load_last_up", dict)
    for name in ("ENV", "VARIANT", "KUBE_CONTEXT", "VALUES", "FEED", "IMAGE_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
