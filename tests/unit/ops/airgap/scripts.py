"""Load airgap's Python programs, which belong to no package."""

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

AIRGAP = Path(__file__).resolve().parents[4] / "ops" / "airgap"


def load(name: str) -> ModuleType:
    loader = SourceFileLoader(name.replace("-", "_").replace("/", "_"), str(AIRGAP / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
