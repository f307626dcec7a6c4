"""One run, stage by stage: servers, services, play or follow, batch steps, report."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from crypto_analytics.runtime.settings import KafkaSettings, ObjectStoreSettings
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.objects import open_store
from ops.common import paths
from ops.common.errors import Problem
from ops.common.loopback import LOOPBACK, free_port, preferred_port
from ops.local import (
    archive_check,
    batch,
    dead_letters,
    exchange,
    kafka,
    monitoring,
    passwords,
    postgres,
    report,
    service_settings,
    services,
    superset,
    topics,
    trade_counts,
)
from ops.local.completion import CompletionCheck
from ops.local.display import Display
from ops.local.programs import fetching_job, job, last_line, service
from ops.local.run_folders import RunFolders
from ops.local.settings import API_PORT, DemoSettings
from ops.local.supervisor import Supervisor
from ops.setup import jars

POLL_SECONDS = 0.2
JARS_SECONDS = 600
ENVIRONMENTS_SECONDS = 1200
MIGRATE_SECONDS = 60
PAGE_SECONDS = 120
MINUTE = 60.0


@dataclass
class Run:
    """One run under its supervisor."""

    settings: DemoSettings
    folders: RunFolders
    supervisor: Supervisor
    display: Display

    def __post_init__(self) -> None:
        (self.folders.root / "home").mkdir(parents=True, exist_ok=True)
        self.passwords = passwords.load(self.folders.secrets)
        api_port = self.settings.API_PORT
        self.addresses = service_settings.Addresses(
            kafka=self.settings.KAFKA_PORT or free_port(),
            postgres=self.settings.POSTGRES_PORT or free_port(),
            api=preferred_port(API_PORT) if api_port is None else api_port or free_port(),
        )
        self.server = postgres.PostgresServer(
            self.folders.postgres,
            self.addresses.postgres,
            self.passwords.superuser,
            passwords.restore_hint(self.folders),
        )
        self.simulator = None if self.settings.LIVE else exchange.Simulator(self.settings.SIM_PORT or free_port())
        self.superset_port = self.settings.SUPERSET_PORT or free_port()
        self.producer_metrics = free_port()
        self.monitoring = monitoring.Monitoring(self.settings, self.folders)
        self.totals = trade_counts.CounterTotals()
        self.kafka_settings = KafkaSettings(**service_settings.kafka(self.addresses))  # type: ignore[arg-type]

    def start_servers(self) -> service_settings.TradeSource:
        """Start the servers, as far as possible in parallel; return the trade source once all are ready."""
        with self.display.phase("servers", "Kafka, PostgreSQL and the exchange are ready"):
            then = ("--", "-m", "ops.setup.dbt_docs")
            self.supervisor.start(fetching_job("environments", "ops.setup.environments", "dbt", "ge", *then))
            if self.settings.BI:
                self.supervisor.start(fetching_job("dashboard-environment", "ops.setup.environments", "superset"))
            with_spark = self.settings.with_spark
            if not jars.are_cached(spark=with_spark):
                wanted_jars = ["--spark"] if with_spark else []
                log = str(self.supervisor.log_of("maven"))
                self.supervisor.start(fetching_job("jars", "ops.setup.jars", log, *wanted_jars))
            if shutil.which("npm"):  # without it, the Data Docs load their scripts and styles from the internet
                self.supervisor.start(fetching_job("page-files", "ops.setup.npm_files", str(batch.PAGE_FILES)))
            self.supervisor.start(fetching_job("live-page", "ops.setup.live_page", str(self.folders.live_page)))
            self.supervisor.start(postgres.program(self.server))
            if self.simulator:
                wanted = service("simulator", self._simulator_settings(), metrics_port=0)
                self.supervisor.start(exchange.program(self.simulator, wanted))
            if self.supervisor.is_known("jars"):
                self._finish("jars", JARS_SECONDS)
            broker = kafka.KafkaServer(self.folders.kafka, self.addresses.kafka, free_port())
            self.supervisor.start(kafka.program(broker, jars.jars_dir()))
            self.supervisor.wait_ready("postgres")
            self._migrate()
            self.supervisor.wait_ready(*(["simulator"] if self.simulator else []), "kafka")
            topics.ensure(self.kafka_settings)
        return self.simulator.source() if self.simulator else exchange.real(self.settings)

    def start_services(self, source: service_settings.TradeSource) -> None:
        """Start the services: consumers of the chosen variant, producer, publisher and read API."""
        service_settings.RunConfig(source, self.addresses, self._simulator_settings()).save(self.folders.run_file)
        self._finish_page()
        started = services.programs(
            self.settings,
            self.folders,
            self.passwords,
            source,
            self.addresses,
            producer_metrics=self.producer_metrics,
            superset_port=self.superset_port,
        )
        started += self.monitoring.programs(started, self.simulator.port if self.simulator else None)
        self.supervisor.start(*started)
        self.supervisor.wait_ready(*(program.name for program in started))

    def play(self, source: service_settings.TradeSource) -> None:
        """Stream the play and wait until it is complete."""
        simulator = self.simulator
        assert simulator is not None  # the real exchange has no end to wait for
        check = CompletionCheck()
        total = simulator.status().trades_total
        topic = trade_counts.TradesTopic(self.kafka_settings, service_settings.CONSUMER_GROUP)
        try:
            with (
                self.display.phase("streaming", "the play is streamed and merged"),
                self.display.streaming(total) as show,
            ):
                self.start_services(source)

                def is_complete() -> bool:
                    counts = self._count_trades(topic)
                    show(counts)
                    return check.is_complete(counts)

                self.supervisor.wait_until(is_complete, float("inf"), "the play does not end", every=POLL_SECONDS)
        finally:
            topic.close()

    def follow(self) -> None:
        """Follow the trades, with the batch steps on a timer, until MINUTES are over or the run is stopped."""
        ends = time.monotonic() + (self.settings.MINUTES * MINUTE or float("inf"))
        topic = trade_counts.TradesTopic(self.kafka_settings, service_settings.CONSUMER_GROUP)
        try:
            while time.monotonic() < ends:
                pause = min(ends, time.monotonic() + self.settings.BATCH_EVERY_MINUTES * MINUTE)
                with self.display.streaming(None, quiet_seconds=MINUTE) as show:

                    def is_over(
                        until: float = pause, show: Callable[[trade_counts.TradeCounts | None], None] = show
                    ) -> bool:
                        show(self._count_trades(topic))
                        return time.monotonic() >= until

                    self.supervisor.wait_until(is_over, float("inf"), "the pause does not end", every=1.0)
                try:
                    self.batch()
                except Problem as problem:
                    self.display.print(f"           {problem}")  # the next batch run may succeed
        finally:
            topic.close()

    def batch(self) -> None:
        """Run the batch steps.

        Raises:
            Problem: one of them failed.
        """
        if self.supervisor.is_known("environments"):
            self._finish("environments", ENVIRONMENTS_SECONDS)
        if self.supervisor.is_known("page-files"):
            self.supervisor.finish("page-files", ENVIRONMENTS_SECONDS)  # a failure is in its log, and not in the way
        with self.display.phase("batch", "backfill, dbt, quality gate, gold and export are done"):
            self.supervisor.start(batch.program(self.folders, self.passwords))
            self._finish("batch", batch.SECONDS)

    def start_dashboard(self) -> None:
        """Start Superset on this run's PostgreSQL, with the dashboard of superset/assets."""
        if self.supervisor.is_known("dashboard-environment"):
            self._finish("dashboard-environment", ENVIRONMENTS_SECONDS)
        settings = service_settings.superset(self.folders, self.addresses, self.passwords)
        with self.display.phase("dashboard", "Superset is ready"):
            self.supervisor.start(superset.preparation(settings))
            self._finish("superset-prepare", superset.PREPARE_SECONDS)
            self.supervisor.start(superset.server(settings, self.superset_port))
            self.supervisor.wait_ready("superset")
        # Output that is no terminal is kept as a log, which must not hold a password.
        on_terminal = self.display.console.is_terminal
        password = self.passwords.superset_admin if on_terminal else self.folders.secrets
        self.display.where(superset.places(self.superset_port, password))

    def show_page(self) -> None:
        """Print the addresses of the live page and of the monitoring, as soon as they are known."""
        self.display.where([("live page", f"http://{LOOPBACK}:{self.addresses.api}"), *self.monitoring.places])

    def stay(self) -> None:
        """Keep the live page and the dashboard up until the run is stopped."""
        self.show_page()
        self.display.print("           Ctrl-C ends it")
        self.supervisor.wait_until(lambda: False, float("inf"), "the run was not stopped", every=1.0)

    def settle(self) -> None:
        """Wait until every server answers, in case one is restarting."""
        self.supervisor.wait_ready("postgres", "kafka", *(["simulator"] if self.simulator else []))

    def report(self, source: service_settings.TradeSource) -> None:
        """Stop the services, so that no count changes any more, then build, write and print the report.

        Raises:
            Interrupted: the run was stopped meanwhile; a run that was stopped before gets its report all the same.
        """
        ended = self.supervisor.is_stopped

        def is_stopped() -> bool:
            return self.supervisor.is_stopped and not ended

        self._add_counters()
        sent = self.simulator.status().trades_sent if self.simulator else None
        for name in ("producer", *self.settings.consumers):
            self.supervisor.stop(name)
        topic = trade_counts.TradesTopic(self.kafka_settings, service_settings.CONSUMER_GROUP)
        try:
            produced, uncommitted = topic.count()
        finally:
            topic.close()
        store = ObjectStoreSettings(**service_settings.objects(self.folders))  # type: ignore[arg-type]
        archive = RawArchive(open_store(store), store.BUCKET_RAW)
        with psycopg.connect(self.server.conninfo(service_settings.DATABASE), autocommit=True) as connection:
            counts = report.RunCounts(
                trades_sent=sent,
                produced=produced,
                uncommitted=uncommitted,
                dead_letters=dead_letters.read(self.kafka_settings, is_stopped=is_stopped),
                archived=archive_check.read_back(connection, archive),
                gaps_found=self.totals.of("gaps_found_total"),
                gaps_repaired=self.totals.of("gaps_repaired_total"),
                restarts=self.supervisor.restarts,
                seconds=self.display.seconds,
            )
            found = report.build(connection, counts, settings=self.settings, symbols=source.symbols, as_of=source.as_of)
            report.write_tables(connection, self.folders.report)
            found.write(self.folders.report)
            self.display.hops(found)
            self.display.gold(report.newest_gold(connection))

    def _simulator_settings(self) -> dict[str, str]:
        if self.simulator is None:
            return {}
        return exchange.simulator_settings(self.settings) | {"SIM_PORT": str(self.simulator.port)}

    def _migrate(self) -> None:
        self.server.ensure_database(service_settings.DATABASE)
        roles = service_settings.role_passwords(self.passwords)
        if self.settings.BI:
            roles["SUPERSET_PASSWORD"] = self.passwords.superset
        login = service_settings.postgres(self.addresses, self.passwords, "superuser")
        folder = {"MIGRATIONS_DIR": str(paths.ROOT / "migrations")}
        self.supervisor.start(job("migrate", "crypto_analytics.jobs.migrate", login | roles | folder))
        self._finish("migrate", MIGRATE_SECONDS)

    def _finish_page(self) -> None:
        """Wait for the live page. Only VIEW=1 needs it: without npm, every other run goes on without the page."""
        if self.settings.VIEW:
            self._finish("live-page", PAGE_SECONDS)
        elif self.supervisor.finish("live-page", PAGE_SECONDS) != 0:
            self.display.print(f"           without the live page: {last_line(self.supervisor.log_of('live-page'))}")

    def _finish(self, name: str, seconds: float) -> None:
        code = self.supervisor.finish(name, seconds)
        if code != 0:
            log = self.supervisor.log_of(name)
            cause = last_line(log) or f"it ended with exit code {code}"
            raise Problem(f"{name} failed", cause, f"see: tail -n 30 {log}")

    def _count_trades(self, topic: trade_counts.TradesTopic) -> trade_counts.TradeCounts | None:
        self._add_counters()
        try:
            status = self.simulator.status() if self.simulator else None
        except OSError:
            return None  # the simulator restarts
        return trade_counts.count_trades(topic, self.server.conninfo(service_settings.DATABASE), status)

    def _add_counters(self) -> None:
        try:
            self.totals.add(trade_counts.metrics(self.producer_metrics))
        except OSError:
            return  # the producer restarts; the next call reads its counters
