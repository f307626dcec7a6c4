"""versitygw's administration: which requests are sent, and what its answers mean."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.etree import ElementTree

import pytest
from minio.error import S3Error
from pydantic import SecretStr

from crypto_analytics.jobs.buckets.plan import PutPolicy
from crypto_analytics.jobs.buckets.versitygw_server import VersitygwServer
from crypto_analytics.jobs.reconciliation import LoginRefused, NotReady, SetPassword
from crypto_analytics.runtime.settings import ObjectStoreSettings
from tests.stub_server import serving

Accounts = dict[str, dict[str, str]]
BUCKETS = b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"


class Fake(ThreadingHTTPServer):
    """A versitygw in memory: its accounts by access key, and the code of the error that it answers instead."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.accounts: Accounts = {}
        self.error: tuple[int, str] | None = None


class Handler(BaseHTTPRequestHandler):
    server: Fake

    def do_GET(self) -> None:
        """Answer a listing of buckets, which is also how a login is tried."""
        self._answer(200, BUCKETS)

    def do_PATCH(self) -> None:
        """Answer a request of the administration."""
        assert "AWS4-HMAC-SHA256 Credential=root/" in self.headers["Authorization"]
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        fields = {one.tag: one.text or "" for one in ElementTree.fromstring(body)} if body else {}
        match path:
            case "/create-user":
                self.server.accounts[fields.pop("Access")] = fields
            case "/update-user":
                self.server.accounts[query.removeprefix("access=")] |= fields
        listed = "".join(
            f"<Accounts><Access>{name}</Access><Role>{its['Role']}</Role></Accounts>"
            for name, its in self.server.accounts.items()
        )
        self._answer(200, f"<ListUserAccountsResult>{listed}</ListUserAccountsResult>".encode())

    def _answer(self, status: int, body: bytes) -> None:
        if self.server.error is not None:
            status, code = self.server.error
            body = f"<Error><Code>{code}</Code><Message>the message</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def fake() -> Iterator[Fake]:
    with serving(Fake()) as fake:
        yield fake


@pytest.fixture
def server(fake: Fake) -> VersitygwServer:
    endpoint = f"127.0.0.1:{fake.server_port}"
    login = {"S3_ACCESS_KEY": "root", "S3_SECRET_KEY": SecretStr("made up")}
    return VersitygwServer(ObjectStoreSettings(S3_ENDPOINT=endpoint, S3_SECURE=False, **login))


def test_a_user_is_created_and_its_password_and_role_are_set(fake: Fake, server: VersitygwServer) -> None:
    server.apply(SetPassword("anna"), {"anna": "first & <good>"})
    assert fake.accounts == {"anna": {"Secret": "first & <good>", "Role": "user"}}
    fake.accounts["anna"]["Role"] = "admin"
    server.apply(SetPassword("anna"), {"anna": "second"})
    assert fake.accounts == {"anna": {"Secret": "second", "Role": "user"}}


def test_a_missing_user_and_one_of_a_wider_role_are_without_login(fake: Fake, server: VersitygwServer) -> None:
    fake.accounts = {"anna": {"Role": "user"}, "boss": {"Role": "admin"}}
    state = server.state({"anna": "a", "boss": "b", "carl": "c"})
    assert state.without_login == {"boss", "carl"}
    assert state.policies is None


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "SignatureDoesNotMatch", LoginRefused),
        (403, "InvalidAccessKeyId", LoginRefused),
        (403, "AccessDenied", S3Error),
        (503, "SlowDown", NotReady),
        (500, "InternalError", NotReady),
    ],
)
def test_each_error_is_translated(
    fake: Fake, server: VersitygwServer, status: int, code: str, expected: type[Exception]
) -> None:
    fake.error = status, code
    with pytest.raises(Exception, match=r"versitygw|the message") as raised:
        server.apply(SetPassword("anna"), {"anna": "secret"})
    assert raised.type is expected


def test_a_policy_of_a_user_is_refused(server: VersitygwServer) -> None:
    with pytest.raises(NotImplementedError, match="has no policies of users"):
        server.apply(PutPolicy("anna", json.loads("{}")), {})
