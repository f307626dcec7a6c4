import json
import subprocess
import sys
from pathlib import Path

import pytest

from crypto_analytics.batch import steps
from crypto_analytics.batch.steps import STEPS, select


def test_the_steps_are_those_of_the_dag_in_its_order() -> None:
    assert [step.name for step in STEPS] == [
        "backfill_recent", "dbt_silver", "dbt_test_silver", "ge_validate", "dbt_gold", "dbt_test_gold", "export_lake",
    ]  # fmt: skip
    assert steps.RETRIES == 2


def test_every_step_is_bounded() -> None:
    for step in STEPS:
        assert 0 < step.timeout_seconds <= 900
        assert step.resources.memory_limit.endswith("i")
        assert step.resources.cpu_limit


def test_only_dbt_writes_tables_only_backfill_klines_and_only_the_gate_its_verdicts() -> None:
    assert {step.name: step.role for step in STEPS if step.role != "reader"} == {
        "backfill_recent": "writer",
        "ge_validate": "gate",
        **{step.name: "transformer" for step in STEPS if step.component == "dbt"},
    }


def test_a_dag_can_load_the_module_with_the_standard_library_alone() -> None:
    code = (
        "import importlib.util, json, sys\n"
        f"spec = importlib.util.spec_from_file_location('steps', {str(Path(steps.__file__))!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules['steps'] = module\n"
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
