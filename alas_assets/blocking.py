"""Running a coroutine from code that is not asynchronous: inside a running loop too, and without losing an interrupt (O1).

Which coroutines there are is the business of `retrieval` and `teachers.endpoint`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


def run_blocking(work: Awaitable[T]) -> T:
    """Run a coroutine to its end and return its result; where a loop runs already (a notebook), in a thread of its own.

    Dagster turns Ctrl-C into an exception of its own that is raised wherever the main thread is. Inside a callback of the loop asyncio
    only logs it, and the run would go on as if nobody had asked it to stop; here it ends the work.

    Raises:
        BaseException: Whatever the coroutine, or an interrupt meanwhile, raised.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(work)
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(_run(work))
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that asked
            failed.append(error)

    thread = threading.Thread(target=run, name="blocking")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _run(work: Awaitable[T]) -> T:
    interrupts: list[BaseException] = []

    async def main() -> T:
        loop, own = asyncio.get_running_loop(), asyncio.current_task()
        assert own is not None

        def heed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            error = context.get("exception")
            if isinstance(error, BaseException) and not isinstance(error, Exception):
                interrupts.append(error)
                own.cancel()
            else:
                loop.default_exception_handler(context)

        loop.set_exception_handler(heed)
        return await work

    try:
        result = asyncio.run(main())
    except BaseException as error:
        if interrupts:  # whatever the work made of being cancelled
            raise interrupts[0] from error
        raise
    if interrupts:
        raise interrupts[0]
    return result
