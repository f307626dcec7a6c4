"""A blocking call beside the event loop that a stop does not wait for."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


async def detached(call: Callable[[], Result]) -> Result:
    """Return what ``call`` returns, or raise what it raises; it runs in a daemon thread of its own.

    ``asyncio.to_thread`` would keep ``asyncio.run``, and the process, from ending until the call returns. This one is
    left to itself when its caller is cancelled, so it must be one that may be cut off anywhere, such as a query.
    """
    future: Future[Result] = Future()

    def work() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  # raised again where the result is waited for
            future.set_exception(error)
        else:
            future.set_result(result)

    Thread(target=work, name="detached", daemon=True).start()
    return await asyncio.wrap_future(future)
