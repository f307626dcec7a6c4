"""The components of each variant, and how Compose changes from one to another."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from ops.common import candle_variant
from ops.common.errors import Problem
from ops.common.settings import KIND_CONTEXT, OpsSettings
from ops.compose import project as compose
from ops.compose import up as compose_up
from ops.compose.project import Container, Project
from ops.kubernetes import helmfile


def test_the_components_of_other_variants_are_replaced() -> None:
    assert {chosen: candle_variant.replaced_by(chosen) for chosen in candle_variant.PROFILES} == {
        "python": ("spark-candles",),
        "spark": ("consumer",),
        "both": (),
    }


def test_several_profiles_reach_docker_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "path_of", lambda program: program)
    command = Project("crypto-analytics", {}).command("up", profile=candle_variant.PROFILES["both"])
    assert command[-5:] == ["--profile", "stream", "--profile", "spark", "up"]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Return the calls of docker compose for a project that runs the consumer."""
    calls: list[tuple[str, ...]] = []
    running = Container("crypto-analytics-consumer-1", "consumer", "running", "healthy", 0, 1, 0.0, {})
    monkeypatch.setattr(compose, "containers", lambda name: [running])
    monkeypatch.setattr(Project, "call", lambda self, *arguments: calls.append(arguments) or True)
    return calls


@pytest.mark.parametrize(("chosen", "removed"), [("spark", [("rm", "--stop", "--force", "consumer")]), ("both", [])])
def test_compose_removes_the_components_of_other_variants(
    called: list[tuple[str, ...]], chosen: candle_variant.Variant, removed: list[tuple[str, ...]]
) -> None:
    compose_up.remove_replaced(Project("crypto-analytics", {}), candle_variant.replaced_by(chosen))
    assert called == removed


def test_the_port_of_sparks_ui_counts_only_with_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose_up, "_docker", lambda: None)
    monkeypatch.setattr(compose, "containers", lambda name: [])
    monkeypatch.setattr(compose_up, "is_free", lambda number: number != 4040)
    monkeypatch.setattr(compose_up, "MEMORY_FREE", 0)
    monkeypatch.setattr(compose, "volumes", lambda name: [])
    settings, project = OpsSettings(SPARK_UI_PORT=None), Project("crypto-analytics", {})
    assert compose_up.check(settings, project, "stream") == []
    (problem,) = compose_up.check(settings, project, "stream,spark")
    assert "SPARK_UI_PORT=14040" in str(problem)


@pytest.mark.parametrize(("content", "refused"), [("variant: spark\n", True), ("releases: {}\n", False), ("", False)])
def test_values_of_the_user_leave_the_variant_to_the_variable(tmp_path: Path, content: str, refused: bool) -> None:
    values = tmp_path / "mine.yaml"
    values.write_text(content)
    with pytest.raises(Problem, match="make up VARIANT=spark") if refused else nullcontext():
        helmfile.check_own_values(values, KIND_CONTEXT)


@pytest.mark.parametrize(("context", "refused"), [("theirs", True), (KIND_CONTEXT, False)])
def test_values_of_the_user_name_no_other_cluster(tmp_path: Path, context: str, refused: bool) -> None:
    values = tmp_path / "mine.yaml"
    values.write_text(f"kubeContext: {context}\n")
    with pytest.raises(Problem, match="make up KUBE_CONTEXT=theirs") if refused else nullcontext():
        helmfile.check_own_values(values, KIND_CONTEXT)
