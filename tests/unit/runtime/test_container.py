from math import isnan
from pathlib import Path

import pytest

from crypto_analytics.runtime import container


def cgroup(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


V1 = {
    "memory/memory.limit_in_bytes": "268435456\n",
    "memory/memory.usage_in_bytes": "104857600\n",
    "memory/memory.stat": "cache 1\ninactive_file 7\ntotal_inactive_file 4857600\n",
}
V2 = {
    "memory.max": "268435456\n",
    "memory.current": "104857600\n",
    "memory.stat": "anon 1\ninactive_file 4857600\nactive_file 3\n",
}


@pytest.mark.parametrize("files", [V1, V2], ids=["cgroup v1", "cgroup v2"])
def test_the_working_set_leaves_out_files_that_can_be_read_again(tmp_path: Path, files: dict[str, str]) -> None:
    folder = cgroup(tmp_path, files)
    assert container.memory_limit(folder) == 256 * 1024**2
    assert container.memory_working_set(folder) == 100_000_000


@pytest.mark.parametrize(
    "files",
    [{"memory.max": "max\n"}, {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, {}],
    ids=["cgroup v2", "cgroup v1", "no cgroup"],
)
def test_no_limit_is_not_a_number(tmp_path: Path, files: dict[str, str]) -> None:
    assert isnan(container.memory_limit(cgroup(tmp_path, files)))


def test_without_a_cgroup_the_working_set_is_unknown(tmp_path: Path) -> None:
    assert isnan(container.memory_working_set(tmp_path))


def test_this_machine_has_a_disk() -> None:
    assert 0 < container.disk_free() < container.disk_size()
