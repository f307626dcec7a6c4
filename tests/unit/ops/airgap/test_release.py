"""The release that kind reads: tags come first and fully named, layers and programs are carried unchanged."""

import io
import json
import tarfile

import pytest

from .scripts import load


@pytest.fixture
def archive(tmp_path):
    """An archive as the engine saves it: two images, tags last."""
    path = tmp_path / "kube-apiserver.tar"
    manifest = [{"RepoTags": ["kindest/kindnetd:v1"]}, {"RepoTags": ["registry.k8s.io/pause:3.10"]}]
    members = {
        "abc/layer.tar": b"\0" * 4096,
        "manifest.json": json.dumps(manifest).encode(),
        "repositories": json.dumps(
            {"kindest/kindnetd": {"v1": "abc"}, "registry.k8s.io/pause": {"3.10": "d"}}
        ).encode(),
    }
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_release(archive, tmp_path):
    program = tmp_path / "kubelet"
    program.write_bytes(b"program")
    load("node/release.py").pack("v1.36.3", tmp_path / "server.tar.gz", [program, archive])

    with tarfile.open(tmp_path / "server.tar.gz", "r:gz") as release:
        contents = {member.name: release.extractfile(member).read() for member in release}
    assert contents["kubernetes/version"] == b"v1.36.3"
    assert contents["kubernetes/server/bin/kubelet"] == b"program"

    with tarfile.open(fileobj=io.BytesIO(contents["kubernetes/server/bin/kube-apiserver.tar"])) as images:
        assert images.getnames()[0] == "repositories", "kind reads all tags from the first file, or one of a manifest"
        assert json.load(images.extractfile("repositories")) == {
            "docker.io/kindest/kindnetd": {"v1": "abc"},
            "registry.k8s.io/pause": {"3.10": "d"},
        }
        assert json.load(images.extractfile("manifest.json"))[0]["RepoTags"] == ["docker.io/kindest/kindnetd:v1"]
        assert images.extractfile("abc/layer.tar").read() == b"\0" * 4096
