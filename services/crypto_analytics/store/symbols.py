"""The table ``symbols``: which symbols are followed, and which were and are retired."""

from collections.abc import Sequence
from typing import NamedTuple

import psycopg

_FOLLOW = """
insert into symbols (symbol, status, followed_since)
select symbol, 'followed', now() from unnest(%s::text[]) as symbol order by symbol
on conflict (symbol) do update set status = 'followed', followed_since = now(), retired_at = null
where symbols.status = 'retired'
returning symbol
"""

_RETIRE = """
update symbols set status = 'retired', retired_at = now()
where status = 'followed' and symbol <> all (%s::text[])
returning symbol
"""


class Changed(NamedTuple):
    """The symbols that are followed from now on, and those that are retired from now on."""

    followed: list[str]
    retired: list[str]


def reconcile(connection: psycopg.Connection, symbols: Sequence[str]) -> Changed:
    """Mark ``symbols`` followed and all others retired; return what that changed.

    Raises:
        psycopg.Error: the database fails; nothing is changed.
    """
    with connection.transaction():
        followed = [symbol for (symbol,) in connection.execute(_FOLLOW, [list(symbols)])]
        retired = [symbol for (symbol,) in connection.execute(_RETIRE, [list(symbols)])]
    return Changed(sorted(followed), sorted(retired))
