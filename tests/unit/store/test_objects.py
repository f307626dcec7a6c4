from pathlib import Path

import pytest

from crypto_analytics.store.objects import DirectoryStore, MemoryStore, ObjectNotFound, ObjectStore


@pytest.fixture(params=["memory", "directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return MemoryStore() if request.param == "memory" else DirectoryStore(tmp_path / "objects")


def test_what_is_put_can_be_read_listed_replaced_and_deleted(store: ObjectStore) -> None:
    store.put("raw", "trades/symbol=A/1", b"one")
    store.put("raw", "trades/symbol=A/2", b"two")
    store.put("raw", "trades/symbol=AB/3", b"three")
    store.put("gold", "trades/symbol=A/1", b"elsewhere")
    store.put("raw", "trades/symbol=A/1", b"uno")
    assert store.get("raw", "trades/symbol=A/1") == b"uno"
    assert [(info.key, info.size) for info in store.list("raw", "trades/symbol=A/")] == [
        ("trades/symbol=A/1", 3),
        ("trades/symbol=A/2", 3),
    ]
    assert [info.key for info in store.list("raw", "trades/symbol=A")][-1] == "trades/symbol=AB/3"
    store.delete("raw", "trades/symbol=A/1")
    store.delete("raw", "trades/symbol=A/1")
    assert len(list(store.list("raw"))) == 2
    with pytest.raises(ObjectNotFound):
        store.get("raw", "trades/symbol=A/1")


def test_an_empty_bucket_lists_nothing(store: ObjectStore) -> None:
    assert list(store.list("raw", "trades/")) == []


@pytest.mark.parametrize("key", ["../outside", "/absolute", "a//b", "a/./b", ""])
def test_a_key_cannot_leave_the_directory(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="no object key"):
        DirectoryStore(tmp_path).put("raw", key, b"")


def test_a_failed_put_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    store = DirectoryStore(tmp_path)
    (tmp_path / "raw").mkdir()
    with pytest.raises(OSError, match="No space"):
        store.put("raw", "a", b"data")
    assert list((tmp_path / "raw").iterdir()) == []
