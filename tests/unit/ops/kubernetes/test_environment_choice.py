"""`make up` without ENV keeps what is installed, and otherwise offers what fits Docker's machine."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from ops.common.errors import Problem
from ops.common.settings import KIND_CONTEXT, OpsSettings
from ops.common.units import GIB
from ops.kubernetes import doctor, environment_choice, machine_fit
from ops.kubernetes.machine import MachineFacts
from ops.platform import state_folder
from tests.unit.ops.kubernetes.test_doctor import GOOD

SMALL = replace(GOOD, cpus=2, memory_total=3.7 * GIB, memory_free=None)
LITE = {"environment": "lite", "context": KIND_CONTEXT}


@pytest.fixture
def last(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the last `make up`, to be filled."""
    saved: dict[str, Any] = {}
    monkeypatch.setattr(state_folder, "load_last_up", lambda: saved)
    return saved


def chosen(settings: OpsSettings, found: MachineFacts, ask: Callable[[str], str] | None = None) -> tuple[str, str]:
    out = io.StringIO()
    resolved = environment_choice.with_environment(settings, found, Console(file=out, width=200), ask)
    assert "ENV" in resolved.model_fields_set
    return resolved.ENV, out.getvalue()


def never(question: str) -> str:
    raise AssertionError(question)


def test_a_named_environment_is_taken_in_silence(last: dict[str, Any]) -> None:
    last.update(LITE)
    assert chosen(OpsSettings(ENV="default"), replace(SMALL, cluster_exists=True), never) == ("default", "")


def test_an_installed_environment_is_kept(last: dict[str, Any]) -> None:
    last.update(LITE)
    there = replace(GOOD, cluster_exists=True)
    assert chosen(OpsSettings(), there, never) == ("lite", "ENV=lite: as at the last make up; another: make up ENV=…\n")
    last["environment"] = "default"
    assert chosen(OpsSettings(), replace(SMALL, cluster_exists=True), never)[0] == "default"
    assert environment_choice.proposed(OpsSettings(), there)[0] == "default"


def test_the_environment_of_a_removed_cluster_or_of_another_one_is_not_kept(last: dict[str, Any]) -> None:
    last.update(LITE)
    assert chosen(OpsSettings(), GOOD)[0] == "default"
    last["context"] = "theirs"
    assert chosen(OpsSettings(), replace(GOOD, cluster_exists=True))[0] == "default"
    assert chosen(OpsSettings(KUBE_CONTEXT="theirs"), GOOD)[0] == "lite"


@pytest.mark.parametrize(
    ("found", "variant", "environment"),
    [
        (GOOD, "python", "default"),
        (GOOD, "both", "default"),
        (replace(GOOD, cpus=2), "python", "default"),
        (replace(GOOD, cpus=2), "both", "lite"),
        (replace(GOOD, memory_free=5 * GIB), "both", "lite"),
        (SMALL, "python", "lite"),
    ],
)
def test_without_a_terminal_what_fits_is_taken_and_said(
    last: dict[str, Any], found: MachineFacts, variant: str, environment: str
) -> None:
    settings = OpsSettings(VARIANT=variant)  # type: ignore[arg-type]
    taken, text = chosen(settings, found)
    assert taken == environment == environment_choice.proposed(settings, found)[0]
    assert f"ENV={environment}: Docker has {found.cpus} CPUs" in text
    assert "another: make up ENV=" in text
    assert not doctor.blocks(doctor.examine(found, machine_fit.fitting(found, settings.VARIANT), settings.VARIANT))


@pytest.mark.parametrize(("answer", "environment"), [("", "lite"), ("lite\n", "lite"), (" default ", "default")])
def test_the_user_is_asked_and_enter_takes_what_fits(last: dict[str, Any], answer: str, environment: str) -> None:
    questions = []
    taken, text = chosen(OpsSettings(), SMALL, lambda question: questions.append(question) or answer)  # type: ignore[func-returns-value]
    assert taken == environment
    assert [question.endswith("is too small for default. Environment to install [lite]: ") for question in questions]
    assert text.startswith("default ")
    assert "\nlite " in text


def test_an_unknown_answer_is_an_error(last: dict[str, Any]) -> None:
    with pytest.raises(Problem, match="the answer was big; make up ENV=default"):
        chosen(OpsSettings(), GOOD, lambda question: "big")


def test_a_cluster_of_the_users_own_is_not_measured_by_this_machine(last: dict[str, Any]) -> None:
    environment, text = chosen(OpsSettings(KUBE_CONTEXT="theirs"), SMALL, never)
    assert (environment, "theirs is not this machine" in text) == ("default", True)


@pytest.mark.parametrize(("ci", "is_terminal", "asks"), [("", True, True), ("true", True, False), ("", False, False)])
def test_nobody_is_asked_in_ci_or_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, ci: str, is_terminal: bool, asks: bool
) -> None:
    class Input(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(environment_choice.sys, "stdin", Input())
    assert (environment_choice.terminal() is not None) is asks


@pytest.mark.parametrize(("named", "prints"), [({}, True), ({"ENV": "lite"}, False)])
def test_doctor_says_which_environment_it_checked_for(
    monkeypatch: pytest.MonkeyPatch, last: dict[str, Any], named: dict[str, Any], prints: bool
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(doctor.machine, "inspect", lambda settings: SMALL)
    monkeypatch.setattr(doctor, "console", lambda: Console(file=out, width=160))
    assert doctor.main(OpsSettings(**named), []) == 0
    assert "This machine, for ENV=lite" in out.getvalue()
    assert ("ENV=lite: Docker has 2 CPUs and 3.7 GiB, which is too small for default" in out.getvalue()) is prints
