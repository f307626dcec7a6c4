"""End the process of a service: its output is flushed, no exit handler runs, and no thread is waited for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT

PROGRAM = """
import atexit, logging, sys, threading
from crypto_analytics.runtime import shutdown

atexit.register(print, "an exit handler ran", flush=True)
threading.Thread(target=threading.Event().wait).start()  # a call that nothing can interrupt
logging.basicConfig(level=logging.INFO)
logging.info("logged")
print("printed")
shutdown.end_process({code})
"""


@pytest.mark.parametrize("code", [0, 1])
def test_the_process_ends_without_exit_handlers_and_waits_for_no_thread(code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(code=code)], env={"PYTHONPATH": str(ROOT / "services")},
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (code, "printed\n")
    assert "logged" in done.stderr


@pytest.mark.parametrize("break_output", [
    "read, write = os.pipe(); os.dup2(write, 1); os.dup2(write, 2); os.close(read)",  # flush: BrokenPipeError
    "sys.stdout.close(); sys.stderr.close()",  # flush: ValueError
    "sys.stdout = sys.stderr = None",
])  # fmt: skip
def test_the_exit_code_is_right_if_the_output_cannot_be_written(break_output: str) -> None:
    program = f"""
import os, sys
from crypto_analytics.runtime import shutdown

{break_output}
try:
    print("printed")
except ValueError:
    pass
shutdown.end_process(3)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT / "services")},
        capture_output=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr


def test_services_with_kafka_clients_end_this_way() -> None:
    """A service holds Kafka clients if its main module imports, directly or not, a module that imports the library."""
    services = ROOT / "services" / "crypto_analytics"
    imports = {path: _imports(path) for path in services.rglob("*.py")}
    holding = {path for path, names in imports.items() if "confluent_kafka" in names}
    while more := {path for path, names in imports.items() if _paths(names, services) & holding} - holding:
        holding |= more
    mains = {path for path in holding if path.name == "__main__.py"}
    assert {path.parent.name for path in mains} >= {"producer", "consumer", "spark_candles", "topics"}
    assert [path for path in mains if "    shutdown.end_process(main())\n" not in path.read_text()] == []


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _paths(names: set[str], services: Path) -> set[Path]:
    return {services.parent / (name.replace(".", "/") + ".py") for name in names}
