"""Run the checkpoint ``silver_gate``. Great Expectations writes its files to a temporary folder of the run."""

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

from ge.failures import describe_failures
from ge.settings import GateSettings
from ge.suite import EXAMPLES, KEY, expectations

CHECKPOINT = "silver_gate"
RESULTS, SITE = "results", "site"
SCHEMA, TABLE = "analytics", "silver_klines_1m"


@dataclass(frozen=True)
class Validation:
    """The result of one run of the checkpoint.

    Attributes:
        context: the context of Great Expectations.
        folder: the folder with its files.
        identifier: the identifier of the result.
        succeeded: whether all expectations hold.
        expectations: their number.
        failures: a line for each expectation that does not hold.
    """

    context: EphemeralDataContext
    folder: Path
    identifier: ValidationResultIdentifier
    succeeded: bool
    expectations: int
    failures: tuple[str, ...]

    @property
    def run_time(self) -> datetime:
        """Return the time of the run."""
        run_time: datetime = self.identifier.run_id.run_time
        return run_time


@contextmanager
def validated(settings: GateSettings) -> Iterator[Validation]:
    """Validate the whole table and yield the result; its folder is removed afterwards."""
    with TemporaryDirectory(prefix="silver_gate-") as name:
        yield _validate(settings, Path(name))


def _validate(settings: GateSettings, folder: Path) -> Validation:
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
    failures = tuple(describe_failures(results))
    return Validation(context, folder, identifier, bool(result.success) and not failures, len(results), failures)


def _context(folder: Path) -> EphemeralDataContext:
    """Return a context with definitions in memory, and with results and pages in ``folder``."""

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
