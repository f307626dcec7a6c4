"""What differs between a MinIO and the declaration, and what is done about it."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import structlog
from pydantic import ValidationError

from crypto_analytics.jobs.buckets.__main__ import bring_about
from crypto_analytics.jobs.buckets.access import Access, read
from crypto_analytics.jobs.buckets.plan import (
    Attach,
    Change,
    CloseBucket,
    Detach,
    MakeBucket,
    OpenBucket,
    PutPolicy,
    SetPassword,
    State,
    meaning,
    plan,
)
from crypto_analytics.jobs.buckets.settings import BucketsSettings
from crypto_analytics.jobs.declarations import BadDeclaration
from crypto_analytics.runtime.settings import ObjectStoreSettings
from tests.servers import ROOT

ACCESS_FILE = ROOT / "charts" / "minio" / "files" / "access.yaml"
STORE: dict[str, Any] = {"OBJECT_STORE": "s3", "S3_ACCESS_KEY": "root", "S3_SECRET_KEY": "made up"}
ONE: dict[str, Any] = {
    "buckets": ["raw"],
    "users": [{"name": "anna", "statements": [{"resources": ["raw/*"], "actions": ["s3:GetObject", "s3:PutObject"]}]}],
}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": ["arn:aws:s3:::raw/*"]}],
}


def declared(**changes: Any) -> Access:
    return msgspec.convert({**ONE, **changes}, Access)


def state(**changes: Any) -> State:
    as_declared = {"buckets": ["raw", "else"], "policies": {"anna": POLICY}, "attached": {"anna": ["anna"]}}
    return State(**{"without_login": set(), "open_to_all": {}, **as_declared, **changes})


def test_from_nothing_all_is_made_in_an_order_in_which_it_can_be() -> None:
    empty = State(buckets=[], policies={}, attached={}, without_login={"anna"}, open_to_all={})
    assert list(plan(declared(), empty)) == [
        MakeBucket("raw"), PutPolicy("anna", POLICY), SetPassword("anna"), Attach("anna", "anna"),
    ]  # fmt: skip


def test_what_is_as_declared_is_left_alone_and_so_is_what_is_not_declared() -> None:
    there = state(policies={"anna": POLICY, "readonly": {}}, attached={"anna": ["anna"], "else": ["readonly"]})
    assert list(plan(declared(), there)) == []


def test_what_differs_is_brought_back() -> None:
    wider = {**POLICY, "Statement": [{**POLICY["Statement"][0], "Action": ["s3:*"]}]}  # type: ignore[dict-item]
    drifted = state(policies={"anna": wider}, attached={"anna": ["readwrite"]}, without_login={"anna"})
    assert list(plan(declared(), drifted)) == [
        PutPolicy("anna", POLICY), SetPassword("anna"), Attach("anna", "anna"), Detach("readwrite", "anna"),
    ]  # fmt: skip


def test_what_everybody_may_read_is_opened_kept_and_closed() -> None:
    opened = declared(anonymous=[{"resources": ["raw/site/*"], "actions": ["s3:GetObject"]}])
    policy = opened.bucket_policy("raw")
    assert policy is not None
    [statement] = policy["Statement"]
    assert (statement["Action"], statement["Resource"]) == (["s3:GetObject"], ["arn:aws:s3:::raw/site/*"])
    assert list(plan(opened, state())) == [OpenBucket("raw", policy)]
    as_minio_says_it = {"Statement": [{**statement, "Principal": {"AWS": "*"}, "Action": "s3:GetObject"}]}
    assert list(plan(opened, state(open_to_all={"raw": as_minio_says_it}))) == []
    wider = {"Statement": [{**statement, "Action": ["s3:GetObject", "s3:ListBucket"]}]}
    assert list(plan(opened, state(open_to_all={"raw": wider}))) == [OpenBucket("raw", policy)]
    assert list(plan(declared(), state(open_to_all={"raw": policy, "else": policy}))) == [CloseBucket("raw")]


def test_a_policy_means_the_same_however_it_is_written() -> None:
    [statement] = POLICY["Statement"]
    assert isinstance(statement, dict)
    other = {"Statement": [{"Resource": "arn:aws:s3:::raw/*", "Action": statement["Action"][::-1], "Effect": "Allow"}]}
    assert meaning(other) == meaning(POLICY)
    assert meaning({"Statement": [{**statement, "Effect": "Deny"}]}) != meaning(POLICY)
    assert meaning({"Statement": [{**statement, "Condition": {"Bool": {}}}]}) != meaning(POLICY)


def test_the_job_carries_out_the_plan_and_then_has_nothing_to_do() -> None:
    class Server:
        """Does what it is told, in memory."""

        there = State(buckets=[], policies={}, attached={}, without_login={"anna"}, open_to_all={})

        def look(self, passwords: Mapping[str, str]) -> State:
            return self.there

        def carry_out(self, change: Change, passwords: Mapping[str, str]) -> None:
            match change:
                case Attach():
                    self.there = state()

    server: Any = Server()
    log = structlog.get_logger()
    assert bring_about(declared(), {"anna": "made up"}, server, log) == 4
    assert bring_about(declared(), {"anna": "made up"}, server, log) == 0


@pytest.mark.parametrize(
    ("where", "value", "cause"),
    [
        ("buckets", ["raw", "raw"], "raw is declared twice"),
        ("buckets", ["Raw"], r"matching regex .* - at `\$.buckets\[0\]`"),
        ("buckets", ["other"], "rights on raw/\\*, which no bucket is declared for"),
        ("users", [{"name": "anna", "statements": []}], "length >= 1"),
        ("anonymous", [{"resources": ["other/*"], "actions": ["s3:GetObject"]}], "everybody has rights on other/\\*"),
        ("anonymous", [{"resources": ["raw"], "actions": ["s3:GetObject"]}], "regex"),
        ("anonymous", [{"resources": ["raw/*"], "actions": ["s3:ListBucket"]}], "Invalid enum value"),
        ("anonymous", [{"resources": ["raw/*"], "actions": ["s3:GetObject", "s3:PutObject"]}], "length 1"),
        ("users", [{"name": "anna", "statements": [{"resources": ["raw"], "actions": ["GetObject"]}]}], "regex"),
    ],
)
def test_what_cannot_be_meant_is_refused(where: str, value: Any, cause: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=cause):
        declared(**{where: value})


def test_root_is_no_declared_user() -> None:
    with pytest.raises(BadDeclaration, match="the user anna is the one who logs in here"):
        declared().check_users("anna")


def test_the_project_s_own_file_agrees_with_the_settings() -> None:
    access = read(ACCESS_FILE)
    access.check_names(ObjectStoreSettings(**STORE))
    with pytest.raises(BadDeclaration, match="BUCKET_GOLD is metal, but only raw, bronze"):
        access.check_names(ObjectStoreSettings(**STORE, BUCKET_GOLD="metal"))
    assert {f"S3_SECRET_KEY_{user.name.upper()}" for user in access.users} == {
        name for name in BucketsSettings.model_fields if name.startswith("S3_SECRET_KEY_")
    }


def test_only_the_sweep_removes_raw_objects_and_nobody_but_consumer_and_spark_adds_them() -> None:
    may: dict[str, set[str]] = {}
    for user in read(ACCESS_FILE).users:
        for statement in user.statements:
            if "raw/*" in statement.resources:
                for action in statement.actions:
                    may.setdefault(action, set()).add(user.name)
    assert may == {
        "s3:PutObject": {"consumer", "spark"},
        "s3:AbortMultipartUpload": {"consumer", "spark"},
        "s3:GetObject": {"exporter", "reader"},
        "s3:DeleteObject": {"sweep"},
    }


def test_everybody_may_read_the_pages_of_the_gate_and_nothing_else() -> None:
    access = read(ACCESS_FILE)
    open_buckets = {bucket: policy for bucket in access.buckets if (policy := access.bucket_policy(bucket))}
    assert {bucket: policy["Statement"][0]["Resource"] for bucket, policy in open_buckets.items()} == {
        "data-docs": ["arn:aws:s3:::data-docs/site/*"]
    }


def test_settings_that_cannot_work_are_refused() -> None:
    good = {
        f"S3_SECRET_KEY_{user}": "made up, long"
        for user in ("CONSUMER", "SPARK", "EXPORTER", "GATE", "SWEEP", "READER")
    }
    BucketsSettings.model_validate(STORE | good)
    for wrong, cause in (
        (good | {"OBJECT_STORE": "directory", "OBJECT_STORE_DIR": "/tmp"}, "nothing to do for a directory"),
        (STORE | good | {"S3_SECRET_KEY_READER": "short"}, "S3_SECRET_KEY_READER"),
    ):
        with pytest.raises(ValidationError, match=cause):
            BucketsSettings.model_validate(wrong)
