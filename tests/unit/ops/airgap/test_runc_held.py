"""On a host that lacks capabilities, containers are started with those that it holds, and with nothing else changed."""

import json
import sys

import pytest

from .scripts import load


@pytest.fixture
def runc_held(monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return load("runc-held")


@pytest.fixture
def started(runc_held, monkeypatch):
    """A host that lacks CAP_SYS_RESOURCE; return the arguments that runc gets."""
    calls = []
    monkeypatch.setattr(runc_held, "held_capabilities", lambda: frozenset({"CAP_CHOWN", "CAP_SYS_ADMIN"}))
    monkeypatch.setattr(runc_held.os, "execvp", lambda program, arguments: calls.append((program, arguments)))
    return calls


def process(score):
    names = ["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_SYS_ADMIN"]
    return {"args": ["sh"], "oomScoreAdj": score, "capabilities": {"bounding": list(names), "effective": list(names)}}


def test_a_new_container_asks_for_the_held_capabilities(runc_held, started, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"process": process(-999), "root": {"path": "rootfs"}}))
    arguments = ["--root", "/run", "create", "--bundle", str(tmp_path), "name"]
    runc_held.main(arguments)
    written = json.loads(config.read_text())
    assert written["process"]["capabilities"] == {
        kind: ["CAP_CHOWN", "CAP_SYS_ADMIN"] for kind in ("bounding", "effective")
    }
    assert written["process"]["oomScoreAdj"] == 0
    assert (written["process"]["args"], written["root"]) == (["sh"], {"path": "rootfs"})
    assert started == [("runc", ["runc", *arguments])]


def test_a_command_in_a_container_asks_for_the_held_capabilities(runc_held, started, tmp_path):
    file = tmp_path / "process.json"
    file.write_text(json.dumps(process(500)))
    runc_held.main(["exec", "--process", str(file), "name"])
    written = json.loads(file.read_text())
    assert "CAP_SYS_RESOURCE" not in written["capabilities"]["bounding"]
    assert written["oomScoreAdj"] == 500, "raising the score needs no right"
    assert started


def test_a_process_without_capabilities_stays_without(runc_held, started, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"process": {"capabilities": None, "args": ["sh"]}}))
    runc_held.main(["run", "--bundle", str(tmp_path), "name"])
    assert json.loads((tmp_path / "config.json").read_text())["process"]["capabilities"] is None


def test_other_commands_of_runc_pass_unchanged(runc_held, started):
    runc_held.main(["delete", "--force", "name"])
    assert started == [("runc", ["runc", "delete", "--force", "name"])]


def test_names_are_in_the_order_of_the_kernels_bits(runc_held):
    assert len(runc_held.CAPABILITIES) == 41
    assert runc_held.CAPABILITIES.index("SYS_ADMIN") == 21
    assert runc_held.CAPABILITIES.index("SYS_RESOURCE") == 24
    assert {name.removeprefix("CAP_") for name in runc_held.held_capabilities()} <= set(runc_held.CAPABILITIES)
