"""Find and delete orphaned raw objects: failed batches wrote them, and no transaction lists them."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import psycopg

from crypto_analytics.store.archive import PREFIX, RawArchive

# A batch lists no object that is older than half of this (archive.REUSE_SECONDS). The other half covers the time
# between the query of the list and the deletion, and differing clocks.
GRACE = timedelta(hours=1)
_PAGE = 1000


def orphans(
    connection: psycopg.Connection, archive: RawArchive, now: datetime, grace: timedelta = GRACE
) -> Iterator[str]:
    """Yield the keys of the objects that were written before ``now`` - ``grace`` and are not listed."""
    page: list[str] = []
    for item in archive.store.list(archive.bucket, PREFIX):
        if item.modified < now - grace:
            page.append(item.key)
        if len(page) == _PAGE:
            yield from _unlisted(connection, page)
            page = []
    yield from _unlisted(connection, page)


def delete_orphans(connection: psycopg.Connection, archive: RawArchive, now: datetime, grace: timedelta = GRACE) -> int:
    """Delete the orphans and return their number."""
    count = 0
    for key in orphans(connection, archive, now, grace):
        archive.store.delete(archive.bucket, key)
        count += 1
    return count


def _unlisted(connection: psycopg.Connection, keys: list[str]) -> Iterator[str]:
    query = """
        select key from unnest(%s::text[]) as key
        where not exists (select from raw_objects where object_key = key)
    """
    for (key,) in connection.execute(query, [keys]):
        yield key
