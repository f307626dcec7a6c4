import asyncio

from crypto_analytics.api import tasks


async def waits_for_ever(lost: int) -> None:
    """Wait, and drop the first ``lost`` cancellations, as ``asyncio.wait_for`` may."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not lost:
                raise
            lost -= 1


def test_a_task_that_loses_a_cancellation_ends_all_the_same() -> None:
    async def check() -> None:
        running = [asyncio.create_task(waits_for_ever(lost)) for lost in (0, 1, 2)]
        await asyncio.sleep(0)
        await asyncio.wait_for(tasks.end(running), 10)
        assert all(task.cancelled() for task in running)

    asyncio.run(check())


def test_an_error_is_left_to_the_caller() -> None:
    async def fails() -> None:
        raise ValueError

    async def check() -> None:
        running = [asyncio.create_task(fails()), asyncio.create_task(asyncio.sleep(0, "value"))]
        await asyncio.wait(running)
        await tasks.end(running)
        assert isinstance(running[0].exception(), ValueError)
        assert running[1].result() == "value"

    asyncio.run(check())
