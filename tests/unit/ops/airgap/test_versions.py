"""ops/airgap builds the versions that the rest of the project names."""

import re

from .scripts import AIRGAP

PROJECT = AIRGAP.parents[1]
PINS = dict(re.findall(r"^([A-Z_]+)=(\S+)", (AIRGAP / "versions.env").read_text(), re.MULTILINE))


def test_the_node_image_is_that_of_the_cluster():
    cluster = (PROJECT / "kind-config.yaml").read_text()
    assert re.findall(r"image: (\S+)", cluster) == [f"kindest/node:{PINS['KUBERNETES_VERSION']}"]


def test_images_start_from_those_that_airgap_makes():
    made = {f"debian:{PINS['DEBIAN_SUITE']}-slim", f"golang:{PINS['GO_MINIMUM']}-{PINS['DEBIAN_SUITE']}"}
    bake = (PROJECT / "images" / "docker-bake.hcl").read_text()
    named = set(re.findall(r'"(?:DEBIAN|GOLANG)_IMAGE" \{ default = "(\S+)" \}', bake))
    for dockerfile in PROJECT.glob("images/*/Dockerfile"):
        named |= set(re.findall(r"^ARG (?:DEBIAN|GOLANG)_IMAGE=(\S+)", dockerfile.read_text(), re.MULTILINE))
    assert named == made
