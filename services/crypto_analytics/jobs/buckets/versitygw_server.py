"""versitygw: a user has no policy; the policies of the buckets grant its permissions."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import NoReturn
from urllib.parse import SplitResult, urlencode
from xml.etree import ElementTree

from minio.credentials.credentials import Credentials
from minio.error import S3Error, ServerError
from minio.helpers import DictType
from minio.signer import sign_v4_s3
from minio.time import to_amz_date
from urllib3 import BaseHTTPResponse

from crypto_analytics.jobs.buckets.plan import Change, CreateBucket, DeleteBucketPolicy, SetBucketPolicy, State
from crypto_analytics.jobs.buckets.s3_server import S3Server
from crypto_analytics.jobs.reconciliation import SetPassword
from crypto_analytics.runtime.settings import ObjectStoreSettings
from crypto_analytics.store.objects import http_client

_ROLE = "user"  # may do what policies allow; `admin` may do everything, `userplus` may create buckets


class VersitygwServer(S3Server):
    """The root user's connection to versitygw, whose administration is signed PATCH requests with XML bodies."""

    title = "versitygw"

    def __init__(self, settings: ObjectStoreSettings) -> None:
        super().__init__(settings)
        self._http = http_client()

    def state(self, passwords: Mapping[str, str]) -> State:
        """See S3Server."""
        with self._translated_errors():
            bucket_policies = self._bucket_policies()
            roles = self._roles()
        return State(
            buckets=list(bucket_policies),
            without_login=self._without_login(passwords, {user for user, role in roles.items() if role == _ROLE}),
            bucket_policies={bucket: policy for bucket, policy in bucket_policies.items() if policy is not None},
        )

    def apply(self, change: Change, passwords: Mapping[str, str]) -> None:
        """See S3Server."""
        with self._translated_errors():
            match change:
                case CreateBucket() | SetBucketPolicy() | DeleteBucketPolicy():
                    self._apply_to_bucket(change)
                case SetPassword():
                    self._set_password(change.user, passwords[change.user])
                case _:
                    raise NotImplementedError(f"versitygw has no policies of users: {change}")

    def _roles(self) -> dict[str, str]:
        """Return the role of each user by its access key."""
        accounts = ElementTree.fromstring(self._patch("/list-users")).iter("Accounts")  # noqa: S314 - our own server
        return {one.findtext("Access", ""): one.findtext("Role", "") for one in accounts}

    def _set_password(self, user: str, password: str) -> None:
        if user in self._roles():
            self._patch("/update-user", _xml("MutableProps", Secret=password, Role=_ROLE), access=user)
        else:
            self._patch("/create-user", _xml("Account", Access=user, Secret=password, Role=_ROLE))

    def _patch(self, path: str, body: bytes = b"", **query: str) -> bytes:
        """Send a request to the administration interface and return the body of the response.

        Raises:
            S3Error, ServerError, HTTPError: versitygw refuses it, is not ready, or does not answer.
        """
        settings = self._settings
        url = SplitResult("https" if settings.S3_SECURE else "http", settings.S3_ENDPOINT, path, urlencode(query), "")
        now, digest = datetime.now(UTC), sha256(body).hexdigest()
        headers: DictType = {"Host": url.netloc, "X-Amz-Content-Sha256": digest, "X-Amz-Date": to_amz_date(now)}
        login = Credentials(settings.S3_ACCESS_KEY, settings.S3_SECRET_KEY.get_secret_value())
        signed = sign_v4_s3(
            method="PATCH",
            url=url,
            region=settings.S3_REGION,
            headers=headers,
            credentials=login,
            content_sha256=digest,
            date=now,
        )
        sent = {name: str(value) for name, value in signed.items()}
        response = self._http.request("PATCH", url.geturl(), body=body, headers=sent)
        if response.status >= 300:
            _fail(response, path)
        return response.data


def _fail(response: BaseHTTPResponse, path: str) -> NoReturn:
    if response.status >= 500:
        raise ServerError(f"HTTP {response.status} for {path}", response.status)
    raise S3Error.fromxml(response)


def _xml(name: str, **fields: str) -> bytes:
    root = ElementTree.Element(name)
    for field, text in fields.items():
        ElementTree.SubElement(root, field).text = text
    return ElementTree.tostring(root)
