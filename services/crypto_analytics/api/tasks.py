"""Ends asyncio tasks for certain."""

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_SECONDS = 0.5


async def end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks until all of them have ended; their results and errors are left to the caller.

    Once is not enough: before Python 3.12 ``asyncio.wait_for``, by which psycopg's pool waits for a connection, drops a
    cancellation that arrives together with what it waits for, and the task goes on.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_SECONDS)
