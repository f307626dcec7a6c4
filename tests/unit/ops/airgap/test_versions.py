"""ops/airgap builds the versions that the rest of the project names."""

import re

from ops.kubernetes.kind_cluster import AIRGAP_LABEL

from .scripts import AIRGAP

PROJECT = AIRGAP.parents[1]
PINS = dict(re.findall(r"^([A-Z_]+)=(\S+)", (AIRGAP / "versions.env").read_text(), re.MULTILINE))


def test_the_node_image_has_the_label_by_which_make_cluster_finds_it():
    script = (AIRGAP / "node-image").read_text()
    assert "NODE_IMAGE=kindest/node:" in (AIRGAP / "lib" / "common.sh").read_text()
    assert '--label "$RECIPE_LABEL=$recipe"' in script
    libraries = "".join(file.read_text() for file in (AIRGAP / "lib").iterdir())
    assert f"RECIPE_LABEL={AIRGAP_LABEL}\n" in libraries


def test_images_start_from_those_that_airgap_makes():
    made = {f"debian:{PINS['DEBIAN_SUITE']}-slim", f"golang:{PINS['GO_MINIMUM']}-{PINS['DEBIAN_SUITE']}"}
    bake = (PROJECT / "images" / "docker-bake.hcl").read_text()
    named = set(re.findall(r'"(?:DEBIAN|GOLANG)_IMAGE" \{ default = "(\S+)" \}', bake))
    for dockerfile in PROJECT.glob("images/*/Dockerfile"):
        named |= set(re.findall(r"^ARG (?:DEBIAN|GOLANG)_IMAGE=(\S+)", dockerfile.read_text(), re.MULTILINE))
    assert named == made
