"""Blocking calls beside the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


async def run_in_daemon_thread(call: Callable[[], Result]) -> Result:
    """Return the result of ``call``, or raise its exception; it runs in a daemon thread of its own.

    ``asyncio.to_thread`` would keep ``asyncio.run``, and so the process, from ending until the call returns. This
    thread is abandoned when its caller is cancelled, so ``call`` must be safe to interrupt anywhere, such as a query.
    """
    future: Future[Result] = Future()

    def work() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  # raised again in the caller that awaits the result
            future.set_exception(error)
        else:
            future.set_result(result)

    Thread(target=work, name="blocking-call", daemon=True).start()
    return await asyncio.wrap_future(future)
