"""A coroutine that is waited for gives its result or its error, in a running loop too, and no interrupt is lost."""

import asyncio
import logging
from typing import NoReturn

import pytest

from alas_assets.blocking import run_blocking


class Interrupt(BaseException):
    """As Dagster raises it: no KeyboardInterrupt."""


def interrupt() -> NoReturn:
    raise Interrupt("stop")


def fault() -> NoReturn:
    raise ValueError("a callback's own fault")


async def seven() -> int:
    await asyncio.sleep(0)
    return 7


async def wait_while(callback: object) -> None:
    asyncio.get_running_loop().call_soon(callback)  # pyright: ignore[reportArgumentType]
    await asyncio.sleep(30)


def test_the_result_is_returned_also_inside_a_running_loop() -> None:
    async def inside() -> int:
        return run_blocking(seven())

    assert run_blocking(seven()) == asyncio.run(inside()) == 7


@pytest.mark.timeout(20)
def test_an_interrupt_raised_in_a_callback_of_the_loop_ends_the_work() -> None:
    with pytest.raises(Interrupt, match="stop"):
        run_blocking(wait_while(interrupt))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("instead", ["a result", "an error"])
def test_an_interrupt_outranks_what_the_work_makes_of_being_cancelled(instead: str) -> None:
    async def work() -> str:
        try:
            await wait_while(interrupt)
        except asyncio.CancelledError:
            if instead == "an error":
                raise ValueError(instead) from None
        return instead

    with pytest.raises(Interrupt, match="stop"):
        run_blocking(work())


def test_an_interrupt_raised_in_a_task_ends_the_work() -> None:
    async def task() -> None:
        await asyncio.sleep(0)
        interrupt()

    async def work() -> None:
        await asyncio.gather(task(), asyncio.sleep(30))

    with pytest.raises(Interrupt, match="stop"):
        run_blocking(work())


def test_a_callbacks_own_fault_is_logged_and_the_work_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> int:
        asyncio.get_running_loop().call_soon(fault)
        await asyncio.sleep(0.01)
        return 7

    with caplog.at_level(logging.ERROR):
        assert run_blocking(work()) == 7
    assert "a callback's own fault" in caplog.text


def test_a_cancelled_coroutine_is_no_interrupt() -> None:
    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(30)

    with pytest.raises(asyncio.CancelledError):
        run_blocking(work())
