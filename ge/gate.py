"""Run the checkpoint ``silver_gate``. What Great Expectations writes goes to a folder of the run's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import great_expectations as gx
from great_expectations.data_context import EphemeralDataContext
from great_expectations.data_context.types.base import DataContextConfig
from great_expectations.data_context.types.resource_identifiers import ValidationResultIdentifier

from ge import verdict
from ge.settings import GateSettings
from ge.suite import EXAMPLES, KEY, expectations

CHECKPOINT = "silver_gate"
RESULTS, SITE = "results", "site"
SCHEMA, TABLE = "analytics", "silver_klines_1m"


@dataclass(frozen=True)
class Judged:
    """A run of the checkpoint: Great Expectations' context and folder, the result's identifier, and the verdict.

    ``failures`` has a line for every expectation that does not hold.
    """

    context: EphemeralDataContext
    folder: Path
    identifier: ValidationResultIdentifier
    succeeded: bool
    expectations: int
    failures: tuple[str, ...]

    @property
    def run_time(self) -> datetime:
        """Return when it ran."""
        run_time: datetime = self.identifier.run_id.run_time
        return run_time


@contextmanager
def judged(settings: GateSettings) -> Iterator[Judged]:
    """Judge the whole table and yield the verdict; its folder is gone afterwards."""
    with TemporaryDirectory(prefix="silver_gate-") as name:
        yield _judge(settings, Path(name))


def _judge(settings: GateSettings, folder: Path) -> Judged:
    context = _context(folder)
    source = context.data_sources.add_postgres("crypto_analytics", connection_string=settings.connection_url)
    asset = source.add_table_asset(TABLE, table_name=TABLE, schema_name=SCHEMA)
    suite = context.suites.add(gx.ExpectationSuite(CHECKPOINT))
    suite.expectations = list(expectations(settings.as_of))
    suite.save()
    definition = gx.ValidationDefinition(
        name=CHECKPOINT, data=asset.add_batch_definition_whole_table("all rows"), suite=suite
    )
    context.validation_definitions.add(definition)
    checkpoint = gx.Checkpoint(
        name=CHECKPOINT,
        validation_definitions=[definition],
        result_format={
            "result_format": "SUMMARY",
            "partial_unexpected_count": EXAMPLES,
            "unexpected_index_column_names": list(KEY),
        },
    )
    [(identifier, result)] = context.checkpoints.add(checkpoint).run().run_results.items()
    results: list[dict[str, Any]] = result.to_json_dict()["results"]
    failures = tuple(verdict.failures(results))
    return Judged(context, folder, identifier, bool(result.success) and not failures, len(results), failures)


def _context(folder: Path) -> EphemeralDataContext:
    """Return a context whose definitions live in this code, and whose results and pages go to ``folder``."""

    def files(name: str) -> dict[str, str]:
        return {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder / name)}

    memory = {"class_name": "InMemoryStoreBackend"}
    stores = {
        "expectations": {"class_name": "ExpectationsStore", "store_backend": memory},
        "results": {"class_name": "ValidationResultsStore", "store_backend": files(RESULTS)},
        "validation_definition_store": {"class_name": "ValidationDefinitionStore", "store_backend": memory},
        "checkpoints": {"class_name": "CheckpointStore", "store_backend": memory},
    }
    site = {
        "class_name": "SiteBuilder",
        "store_backend": files(SITE),
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "show_how_to_buttons": False,
    }
    config = DataContextConfig(
        config_version=4.0,
        stores=stores,
        expectations_store_name="expectations",
        validation_results_store_name="results",
        checkpoint_store_name="checkpoints",
        data_docs_sites={SITE: site},
        analytics_enabled=False,
        progress_bars={"globally": False},
    )
    return gx.get_context(mode="ephemeral", project_config=config)
