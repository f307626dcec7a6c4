"""The table ``symbols``: followed and retired symbols."""

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


class SymbolChanges(NamedTuple):
    """The symbols that :func:`reconcile` changed to followed, and those that it changed to retired."""

    followed: list[str]
    retired: list[str]


def reconcile(connection: psycopg.Connection, symbols: Sequence[str]) -> SymbolChanges:
    """Mark ``symbols`` followed and all others retired; return the symbols whose status changed.

    Raises:
        psycopg.Error: the transaction failed and was rolled back.
    """
    with connection.transaction():
        followed = [symbol for (symbol,) in connection.execute(_FOLLOW, [list(symbols)])]
        retired = [symbol for (symbol,) in connection.execute(_RETIRE, [list(symbols)])]
    return SymbolChanges(sorted(followed), sorted(retired))
