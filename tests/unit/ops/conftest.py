"""What every test of the operators' targets starts from."""

import pytest

from ops.platform import make_command


@pytest.fixture(autouse=True)
def nothing_asked_or_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tester's own variables, and the checkout's last `make up`, out of what the hints say."""
    monkeypatch.setattr(make_command, "load_last_up", dict)
    for name in ("ENV", "VARIANT", "KUBE_CONTEXT", "VALUES", "FEED", "IMAGE_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
