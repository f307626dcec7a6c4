"""Define the steps of the batch: the DAG has the same ones, and each has only the logins that it needs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from crypto_analytics.batch import step_definitions
from crypto_analytics.batch.step_definitions import STEPS, select
from tests.step_resources import STEP_RESOURCES


def test_the_steps_are_those_of_the_dag_in_its_order() -> None:
    assert [step.name for step in STEPS] == [
        "backfill_recent", "dbt_silver", "dbt_test_silver", "ge_validate", "dbt_gold", "dbt_test_gold", "export_lake",
    ]  # fmt: skip
    assert step_definitions.RETRIES == 2


def test_every_step_is_bounded() -> None:
    for step in STEPS:
        assert 0 < step.timeout_seconds <= 900
        assert STEP_RESOURCES[step.name].memory_limit.endswith("i")
        assert STEP_RESOURCES[step.name].cpu_limit


def test_only_dbt_writes_tables_only_backfill_klines_and_only_the_gate_its_results() -> None:
    assert {step.name: step.role for step in STEPS if step.role != "reader"} == {
        "backfill_recent": "writer",
        "ge_validate": "gate",
        **{step.name: "transformer" for step in STEPS if step.component == "dbt"},
    }


def test_a_dag_can_load_the_module_with_the_standard_library_alone() -> None:
    code = (
        "import importlib.util, json, sys\n"
        f"spec = importlib.util.spec_from_file_location('step_definitions', {str(Path(step_definitions.__file__))!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules['step_definitions'] = module\n"
        "spec.loader.exec_module(module)\n"
        "print(json.dumps([step.name for step in module.STEPS]))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [step.name for step in STEPS]


def test_selected_steps_keep_their_order() -> None:
    assert [step.name for step in select("dbt_gold, dbt_silver")] == ["dbt_silver", "dbt_gold"]
    assert select(None) == STEPS


@pytest.mark.parametrize("names", ["dbt_silver,nonsense", "", ","])
def test_unknown_or_no_names_are_refused_with_the_names_there_are(names: str) -> None:
    with pytest.raises(ValueError, match="the steps are backfill_recent, dbt_silver"):
        select(names)
