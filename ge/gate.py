"""Run the checkpoint ``silver_gate`` and keep its results and Data Docs."""

from pathlib import Path

import great_expectations as gx
from great_expectations.checkpoint import UpdateDataDocsAction
from great_expectations.checkpoint.checkpoint import CheckpointResult
from great_expectations.data_context import EphemeralDataContext
from great_expectations.data_context.types.base import DataContextConfig

from ge.data_docs import RESULTS, SITE, forget_old_runs
from ge.settings import GateSettings
from ge.suite import EXAMPLES, KEY, expectations

CHECKPOINT = "silver_gate"
SCHEMA, TABLE = "analytics", "silver_klines_1m"


def run(settings: GateSettings) -> CheckpointResult:
    """Judge the whole table and return the result; its Data Docs are under ``settings.data_docs_dir``."""
    forget_old_runs(settings.data_docs_dir, CHECKPOINT, keep=settings.kept_runs - 1)
    context = _context(settings.data_docs_dir)
    source = context.data_sources.add_postgres("crypto_analytics", connection_string=settings.connection_url)
    asset = source.add_table_asset(TABLE, table_name=TABLE, schema_name=SCHEMA)
    suite = context.suites.add(gx.ExpectationSuite(CHECKPOINT))
    suite.expectations = list(expectations(settings.symbols, settings.as_of))
    suite.save()
    definition = gx.ValidationDefinition(
        name=CHECKPOINT, data=asset.add_batch_definition_whole_table("all rows"), suite=suite
    )
    context.validation_definitions.add(definition)
    checkpoint = gx.Checkpoint(
        name=CHECKPOINT,
        validation_definitions=[definition],
        actions=[UpdateDataDocsAction(name="data_docs", site_names=[SITE])],
        result_format={
            "result_format": "SUMMARY",
            "partial_unexpected_count": EXAMPLES,
            "unexpected_index_column_names": list(KEY),
        },
    )
    return context.checkpoints.add(checkpoint).run()


def _context(folder: Path) -> EphemeralDataContext:
    """Return a context whose definitions live in this code, and whose results live under ``folder``."""

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
