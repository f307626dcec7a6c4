"""The ``make`` command to suggest to the user, with the environment and the variant in use."""

import os
from collections.abc import Mapping
from typing import Any

from ops.common.settings import KIND_CONTEXT
from ops.platform.state_folder import load_last_up

_ASKED = ("OBJECT_STORE_SERVER", "FEED", "IMAGES", "IMAGE_REGISTRY")


def target(name: str, context: str) -> str:
    """Return ``make name`` for the cluster of ``context``."""
    return f"make {name}" if context == KIND_CONTEXT else f"make {name} KUBE_CONTEXT={context}"


def make_up(*changes: str, environment: Mapping[str, str] = os.environ, last: Mapping[str, Any] | None = None) -> str:
    """Return ``make up`` with the variables that are set, otherwise those of the last run, and ``changes``."""
    context = environment.get("KUBE_CONTEXT") or KIND_CONTEXT
    known = load_last_up() if last is None else last
    if known.get("context") != context:
        known = {}
    chosen = {
        "ENV": environment.get("ENV") or known.get("environment"),
        "VARIANT": environment.get("VARIANT") or known.get("variant"),
        "KUBE_CONTEXT": context,
        "VALUES": environment.get("VALUES") or known.get("values"),
        **{name: environment.get(name) for name in _ASKED},
    }
    usual = {"VARIANT": "python", "OBJECT_STORE_SERVER": "minio", "KUBE_CONTEXT": KIND_CONTEXT}
    words = [f"{name}={value}" for name, value in chosen.items() if value and value != usual.get(name)]
    return " ".join(["make up", *words, *changes])
