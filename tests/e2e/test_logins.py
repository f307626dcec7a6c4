"""Test the logins and the permissions that each of them lacks, through the ports on 127.0.0.1."""

import httpx
import psycopg
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from minio.error import S3Error

from crypto_analytics.runtime.kafka import client_config
from crypto_analytics.store.objects import ObjectNotFound
from crypto_analytics.store.postgres import LoginRefused
from tests.e2e.platforms import Platform
from tests.e2e.recomputation import GROUP
from tests.e2e.waiting import wait_until

TRADES, DEAD_LETTERS = "crypto.trades.raw", "crypto.trades.dlq"
WRONG = "not-the-password"
_SECONDS = 30


def errors_of(config: dict[str, str | int | float | bool]) -> list[int]:
    """Return the error codes of a client with ``config`` until it reads a topic's metadata or is refused."""
    codes: list[int] = []
    client = AdminClient(config | {"error_cb": lambda error: codes.append(error.code())})

    def refused() -> bool:
        client.poll(0.2)
        return bool(codes)

    wait_until(refused, _SECONDS, "Kafka refuses the login")
    with pytest.raises(KafkaException):
        client.list_topics(timeout=2)
    return codes


def first_message(platform: Platform, user: str, *, group: str, topic: str, joins: bool) -> Message:
    """Return the first record or error of a consumer with the login of ``user``."""
    # A refusal is a message with an error; a record has none.
    consumer = Consumer(
        client_config(platform.kafka(user))
        | {"group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    )
    try:
        if joins:
            consumer.subscribe([topic])
        else:
            consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(partitions_of(topic))])
        message: Message = wait_until(lambda: consumer.poll(0.5), _SECONDS, f"{user} gets something of {topic}")
        return message
    finally:
        consumer.close()


def partitions_of(topic: str) -> int:
    return 1 if topic == DEAD_LETTERS else 6


def write_error(platform: Platform, user: str, topic: str) -> KafkaError | None:
    """Return Kafka's answer to a record of ``user`` for ``topic``."""
    answers: list[KafkaError | None] = []
    producer = Producer(client_config(platform.kafka(user)))
    producer.produce(topic, b"{}", on_delivery=lambda error, _: answers.append(error))
    assert producer.flush(_SECONDS) == 0, f"no answer to a record of {user} for {topic}"
    return answers[0]


class TestKafka:
    def test_a_wrong_password_is_refused(self, platform: Platform) -> None:
        assert KafkaError._AUTHENTICATION in errors_of(client_config(platform.kafka("consumer", WRONG)))

    def test_an_unknown_user_is_refused(self, platform: Platform) -> None:
        assert KafkaError._AUTHENTICATION in errors_of(client_config(platform.kafka("nobody", WRONG)))

    def test_nobody_gets_in_without_a_login(self, platform: Platform) -> None:
        servers = platform.kafka("reader").KAFKA_BOOTSTRAP_SERVERS
        assert errors_of({"bootstrap.servers": servers, "security.protocol": "PLAINTEXT", "log_level": 0})

    def test_the_consumer_reads_trades_but_no_dead_letters(self, platform: Platform) -> None:
        # Without joining the group, which would take partitions from the real consumer.
        assert first_message(platform, "consumer", group=GROUP, topic=TRADES, joins=False).error() is None
        refused = first_message(platform, "consumer", group=GROUP, topic=DEAD_LETTERS, joins=False).error()
        assert refused is not None
        assert refused.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED

    def test_only_the_merging_service_can_join_the_group(self, platform: Platform) -> None:
        """Spark may, too: the permission to commit the group's offsets, Read, is the one to join it."""
        refused = first_message(platform, "producer", group=GROUP, topic=TRADES, joins=True).error()
        assert refused is not None
        assert refused.code() == KafkaError.GROUP_AUTHORIZATION_FAILED

    @pytest.mark.parametrize("user", ["consumer", "spark", "reader"])
    def test_only_the_producer_writes_trades(self, platform: Platform, user: str) -> None:
        error = write_error(platform, user, TRADES)
        assert error is not None
        assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED

    def test_topics_are_not_created_by_asking_for_them(self, platform: Platform) -> None:
        topics = AdminClient(client_config(platform.kafka("admin"))).list_topics("crypto.unknown", timeout=10).topics
        error = topics["crypto.unknown"].error
        assert error is not None
        assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


class TestPostgres:
    @pytest.mark.parametrize("role", ["superuser", "writer", "transformer", "gate", "producer", "reader"])
    def test_a_wrong_password_is_refused(self, platform: Platform, role: str) -> None:
        with pytest.raises(LoginRefused, match="password authentication failed"):
            platform.postgres(role, WRONG)

    def test_the_reader_cannot_write(self, platform: Platform) -> None:
        with platform.postgres("reader") as connection:
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("delete from trade_id_ranges")
            connection.execute("set default_transaction_read_only = off")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("delete from trade_id_ranges")

    def test_the_writer_cannot_take_candles_back(self, platform: Platform) -> None:
        with platform.postgres("writer") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("delete from fact_realtime_trades_1m")

    def test_the_transformer_cannot_change_streamed_tables(self, platform: Platform) -> None:
        with platform.postgres("transformer") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("update fact_realtime_trades_1m set is_complete = true")

    def test_the_producer_reads_gaps_and_changes_no_table(self, platform: Platform) -> None:
        with platform.postgres("producer") as connection:
            connection.execute("select symbol, first_missing_id, last_missing_id, reason from trade_id_gaps")
            for statement in (
                b"select from fact_realtime_trades_1m",
                b"select from trade_id_ranges",
                b"update fact_realtime_trades_1m set is_complete = true",
                b"insert into verified_absent_ids values ('E2E', 1, 2, now(), 'method', 'answer')",
                b"delete from open_gap_reasons",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)

    def test_only_the_producer_records_absent_ids_and_reasons(self, platform: Platform) -> None:
        calls = ("record_absent_ids('E2E', 5, 4, 'method', 'answer')", "record_gap_reason('E2E', 5, 4, 'reason')")
        for call in calls:  # 5 to 4 is an invalid range, so this test records nothing
            with (
                platform.postgres("producer") as connection,
                pytest.raises((psycopg.DataError, psycopg.IntegrityError)),
            ):
                connection.execute(f"select {call}".encode())
            for role in ("writer", "transformer", "gate", "reader"):
                with platform.postgres(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(f"select {call}".encode())


class TestGate:
    """The quality gate reads dbt's models, records its runs, and can do nothing else."""

    def test_it_cannot_create_tables(self, platform: Platform) -> None:
        with platform.postgres("gate") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("create table analytics.mine ()")

    def test_it_cannot_read_the_streamed_tables(self, platform: Platform) -> None:
        with platform.postgres("gate") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select from trade_id_ranges")

    def test_it_has_no_bucket_but_its_own(self, platform: Platform) -> None:
        store = platform.objects("gate")
        for bucket in ("raw", "bronze", "silver", "gold"):
            TestObjects.refuses(lambda bucket=bucket: list(store.list(bucket)))
            TestObjects.refuses(lambda bucket=bucket: store.put(bucket, "e2e", b""))


class TestNobody:
    """Without a login, a browser may open the pages of the quality gate by name, and nothing else."""

    def test_a_page_can_be_read(self, platform: Platform) -> None:
        key = "site/e2e.html"
        platform.objects("gate").put("data-docs", key, b"<p>hello</p>")
        try:
            answer = self.get(platform, f"/data-docs/{key}")
            assert (answer.status_code, answer.text) == (200, "<p>hello</p>")
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
        finally:
            platform.objects("gate").delete("data-docs", key)
        assert self.get(platform, f"/data-docs/{key}").status_code == 404

    def test_what_the_gate_found_is_not_open(self, platform: Platform) -> None:
        platform.objects("gate").put("data-docs", "results/e2e.json", b"{}")
        try:
            assert self.get(platform, "/data-docs/results/e2e.json").status_code == 403
        finally:
            platform.objects("gate").delete("data-docs", "results/e2e.json")

    def test_nothing_can_be_listed_or_written(self, platform: Platform) -> None:
        for bucket in ("data-docs", "raw", "bronze", "silver", "gold"):
            for path in (f"/{bucket}", f"/{bucket}?list-type=2", f"/{bucket}?list-type=2&prefix=site/"):
                assert self.get(platform, path).status_code == 403, path
            url = f"http://127.0.0.1:{platform.port('minio')}/{bucket}/site/e2e.html"
            assert httpx.put(url, content=b"x", trust_env=False).status_code == 403
            assert httpx.delete(url, trust_env=False).status_code == 403

    def test_no_object_of_another_bucket_is_open(self, platform: Platform) -> None:
        key = next(iter(platform.objects("reader").list("raw", "trades/"))).key
        assert self.get(platform, f"/raw/{key}").status_code == 403

    @staticmethod
    def get(platform: Platform, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{platform.port('minio')}{path}", trust_env=False)


class TestObjects:
    @pytest.mark.parametrize("user", ["consumer", "spark", "reader", "root"])
    def test_a_wrong_key_is_refused(self, platform: Platform, user: str) -> None:
        with pytest.raises(S3Error) as refused:
            list(platform.objects(user, WRONG).list("raw"))
        assert refused.value.code == "SignatureDoesNotMatch"

    def test_an_unknown_key_is_refused(self, platform: Platform) -> None:
        with pytest.raises(S3Error) as refused:
            list(platform.objects("nobody", WRONG).list("raw"))
        assert refused.value.code == "InvalidAccessKeyId"

    @pytest.mark.parametrize("user", ["consumer", "spark"])
    def test_who_merges_can_only_add_raw_objects(self, platform: Platform, user: str) -> None:
        key = next(iter(platform.objects("reader").list("raw", "trades/"))).key
        store = platform.objects(user)
        self.refuses(lambda: store.delete("raw", key))
        for bucket in ("bronze", "silver", "gold"):
            self.refuses(lambda bucket=bucket: list(store.list(bucket)))
            self.refuses(lambda bucket=bucket: store.put(bucket, "e2e", b""))

    def test_the_reader_cannot_write(self, platform: Platform) -> None:
        store = platform.objects("reader")
        for bucket in ("raw", "bronze", "silver", "gold"):
            self.refuses(lambda bucket=bucket: store.put(bucket, "e2e", b""))
            with pytest.raises(ObjectNotFound):
                store.get(bucket, "e2e")

    def test_the_orphan_cleanup_cannot_read_the_objects_that_it_deletes(self, platform: Platform) -> None:
        key = next(iter(platform.objects("reader").list("raw", "trades/"))).key
        self.refuses(lambda: platform.objects("sweep").get("raw", key))

    @staticmethod
    def refuses(action: object) -> None:
        with pytest.raises(S3Error) as refused:
            action()  # type: ignore[operator]
        assert refused.value.code == "AccessDenied"
