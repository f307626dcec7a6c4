"""The changes that are planned for the differences between an S3 server and the declaration."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import structlog
from pydantic import ValidationError

from crypto_analytics.jobs.buckets.__main__ import reconcile
from crypto_analytics.jobs.buckets.access import Access, read
from crypto_analytics.jobs.buckets.plan import (
    AttachPolicy,
    Change,
    CreateBucket,
    DeleteBucketPolicy,
    DetachPolicy,
    PutPolicy,
    SetBucketPolicy,
    State,
    normalized,
    plan,
)
from crypto_analytics.jobs.buckets.settings import BucketsSettings
from crypto_analytics.jobs.declarations import InvalidDeclaration
from crypto_analytics.jobs.reconciliation import SetPassword
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
    return State(**{"without_login": set(), "bucket_policies": {}, **as_declared, **changes})


def test_an_empty_minio_is_planned_in_an_order_that_can_be_applied() -> None:
    empty = State(buckets=[], policies={}, without_login={"anna"}, bucket_policies={})
    assert list(plan(declared(), empty)) == [
        CreateBucket("raw"), PutPolicy("anna", POLICY), SetPassword("anna"), AttachPolicy("anna", "anna"),
    ]  # fmt: skip


def test_the_declared_state_and_undeclared_objects_are_left_alone() -> None:
    found = state(policies={"anna": POLICY, "readonly": {}}, attached={"anna": ["anna"], "else": ["readonly"]})
    assert list(plan(declared(), found)) == []


def test_drift_is_reverted() -> None:
    wider = {**POLICY, "Statement": [{**POLICY["Statement"][0], "Action": ["s3:*"]}]}  # type: ignore[dict-item]
    drifted = state(policies={"anna": wider}, attached={"anna": ["readwrite"]}, without_login={"anna"})
    assert list(plan(declared(), drifted)) == [
        PutPolicy("anna", POLICY), SetPassword("anna"), AttachPolicy("anna", "anna"), DetachPolicy("readwrite", "anna"),
    ]  # fmt: skip


def test_anonymous_reads_are_allowed_kept_and_removed() -> None:
    opened = declared(anonymous=[{"resources": ["raw/site/*"], "actions": ["s3:GetObject"]}])
    policy = opened.bucket_policy("raw")
    assert policy is not None
    [statement] = policy["Statement"]
    assert (statement["Action"], statement["Resource"]) == (["s3:GetObject"], ["arn:aws:s3:::raw/site/*"])
    assert list(plan(opened, state())) == [SetBucketPolicy("raw", policy)]
    as_minio_returns_it = {"Statement": [{**statement, "Principal": {"AWS": "*"}, "Action": "s3:GetObject"}]}
    assert list(plan(opened, state(bucket_policies={"raw": as_minio_returns_it}))) == []
    wider = {"Statement": [{**statement, "Action": ["s3:GetObject", "s3:ListBucket"]}]}
    assert list(plan(opened, state(bucket_policies={"raw": wider}))) == [SetBucketPolicy("raw", policy)]
    assert list(plan(declared(), state(bucket_policies={"raw": policy, "else": policy}))) == [DeleteBucketPolicy("raw")]


def test_without_policies_of_users_the_buckets_policies_grant_their_permissions() -> None:
    opened = declared(anonymous=[{"resources": ["raw/site/*"], "actions": ["s3:GetObject"]}])
    changes = list(plan(opened, State(buckets=[], without_login={"anna"}, bucket_policies={})))
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"],
             "Resource": ["arn:aws:s3:::raw/site/*"]},
            {"Effect": "Allow", "Principal": {"AWS": ["anna"]}, "Action": ["s3:GetObject", "s3:PutObject"],
             "Resource": ["arn:aws:s3:::raw/*"]},
        ],
    }  # fmt: skip
    assert changes == [CreateBucket("raw"), SetPassword("anna"), SetBucketPolicy("raw", policy)]
    as_declared = State(buckets=["raw"], without_login=[], bucket_policies={"raw": policy})
    assert list(plan(opened, as_declared)) == []
    assert list(plan(declared(), as_declared)) == [
        SetBucketPolicy("raw", {**policy, "Statement": policy["Statement"][1:]})
    ]
    assert list(plan(declared(users=[]), as_declared)) == [DeleteBucketPolicy("raw")]


def test_each_permission_of_a_user_is_granted_by_the_policy_of_its_bucket() -> None:
    access = read(ACCESS_FILE)
    granted = {
        (statement["Principal"]["AWS"][0], action, resource.removeprefix("arn:aws:s3:::"))
        for bucket in access.buckets
        for statement in (access.bucket_policy(bucket, of_users=True) or {})["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    }
    assert granted == {
        (user.name, action, resource)
        for user in access.users
        for statement in user.statements
        for action in statement.actions
        for resource in statement.resources
    } | {("*", "s3:GetObject", "data-docs/site/*")}


def test_policies_are_compared_independently_of_order_and_form() -> None:
    [statement] = POLICY["Statement"]
    assert isinstance(statement, dict)
    other = {"Statement": [{"Resource": "arn:aws:s3:::raw/*", "Action": statement["Action"][::-1], "Effect": "Allow"}]}
    assert normalized(other) == normalized(POLICY)
    assert normalized({"Statement": [{**statement, "Effect": "Deny"}]}) != normalized(POLICY)
    assert normalized({"Statement": [{**statement, "Condition": {"Bool": {}}}]}) != normalized(POLICY)


def test_the_job_applies_the_plan_and_a_second_run_changes_nothing() -> None:
    class Server:
        """Applies changes in memory."""

        current = State(buckets=[], policies={}, attached={}, without_login={"anna"}, bucket_policies={})

        def state(self, passwords: Mapping[str, str]) -> State:
            return self.current

        def apply(self, change: Change, passwords: Mapping[str, str]) -> None:
            match change:
                case AttachPolicy():
                    self.current = state()

    server: Any = Server()
    log = structlog.get_logger()
    assert reconcile(declared(), {"anna": "made up"}, server, log) == 4
    assert reconcile(declared(), {"anna": "made up"}, server, log) == 0


@pytest.mark.parametrize(
    ("where", "value", "cause"),
    [
        ("buckets", ["raw", "raw"], "raw is declared twice"),
        ("buckets", ["Raw"], r"matching regex .* - at `\$.buckets\[0\]`"),
        ("buckets", ["other"], "permissions on raw/\\*, but its bucket is not declared"),
        ("users", [{"name": "anna", "statements": []}], "length >= 1"),
        (
            "anonymous",
            [{"resources": ["other/*"], "actions": ["s3:GetObject"]}],
            "anonymous has permissions on other/\\*",
        ),
        ("anonymous", [{"resources": ["raw"], "actions": ["s3:GetObject"]}], "regex"),
        ("anonymous", [{"resources": ["raw/*"], "actions": ["s3:ListBucket"]}], "Invalid enum value"),
        ("anonymous", [{"resources": ["raw/*"], "actions": ["s3:GetObject", "s3:PutObject"]}], "length 1"),
        ("users", [{"name": "anna", "statements": [{"resources": ["raw"], "actions": ["GetObject"]}]}], "regex"),
    ],
)
def test_an_invalid_declaration_is_refused(where: str, value: Any, cause: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=cause):
        declared(**{where: value})


def test_the_root_user_cannot_be_declared() -> None:
    with pytest.raises(InvalidDeclaration, match="the user anna is the administrator"):
        declared().check_users("anna")


def test_the_project_s_own_file_agrees_with_the_settings() -> None:
    access = read(ACCESS_FILE)
    access.check_names(ObjectStoreSettings(**STORE))
    with pytest.raises(InvalidDeclaration, match="BUCKET_GOLD is metal, but only raw, bronze"):
        access.check_names(ObjectStoreSettings(**STORE, BUCKET_GOLD="metal"))
    assert {f"S3_SECRET_KEY_{user.name.upper()}" for user in access.users} == {
        name for name in BucketsSettings.model_fields if name.startswith("S3_SECRET_KEY_")
    }


def test_only_the_cleanup_deletes_raw_objects_and_only_consumer_and_spark_write_them() -> None:
    users: dict[str, set[str]] = {}
    for user in read(ACCESS_FILE).users:
        for statement in user.statements:
            if "raw/*" in statement.resources:
                for action in statement.actions:
                    users.setdefault(action, set()).add(user.name)
    assert users == {
        "s3:PutObject": {"consumer", "spark"},
        "s3:AbortMultipartUpload": {"consumer", "spark"},
        "s3:GetObject": {"api", "exporter", "reader"},
        "s3:DeleteObject": {"sweep"},
    }


def test_only_the_data_docs_site_can_be_read_anonymously() -> None:
    access = read(ACCESS_FILE)
    open_buckets = {bucket: policy for bucket in access.buckets if (policy := access.bucket_policy(bucket))}
    assert {bucket: policy["Statement"][0]["Resource"] for bucket, policy in open_buckets.items()} == {
        "data-docs": ["arn:aws:s3:::data-docs/site/*"]
    }


def test_settings_that_cannot_work_are_refused() -> None:
    good = {
        f"S3_SECRET_KEY_{user}": "made up, long"
        for user in ("CONSUMER", "SPARK", "EXPORTER", "GATE", "SWEEP", "API", "READER")
    }
    BucketsSettings.model_validate(STORE | good)
    for wrong, cause in (
        (good | {"OBJECT_STORE": "directory", "OBJECT_STORE_DIR": "/tmp"}, "a directory has no buckets to reconcile"),
        (STORE | good | {"S3_SECRET_KEY_READER": "short"}, "S3_SECRET_KEY_READER"),
    ):
        with pytest.raises(ValidationError, match=cause):
            BucketsSettings.model_validate(wrong)
