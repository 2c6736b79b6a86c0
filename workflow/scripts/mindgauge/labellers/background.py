"""Coroutines in the background of ordinary code: an event loop in a thread of its own, bounded and lazily fed."""

import asyncio
import concurrent.futures
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Background:
    """An event loop in a thread. Closing it cancels what still runs on it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="background", daemon=True)
        self.thread.start()

    def start(self, work: Coroutine[Any, Any, R]) -> "concurrent.futures.Future[R]":
        """Starts a coroutine; its result is the future's."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    async def _end(self, last: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if last is not None:
            await last()

    def close(self, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Cancels what runs, waits for its end, does `last`, and ends the thread."""
        if sys.is_finalizing():
            return  # the interpreter has stopped the thread already: waiting for it would be for ever
        self.start(self._end(last)).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def each(self, work: Callable[[T], Coroutine[Any, Any, R]], items: Iterable[T], at_once: int) -> Iterator[R]:
        """The results of `work` over `items`, in the order in which they come.

        At most `at_once` items are in work or done and not yet taken, and no more than these are read; they are read in the
        caller's thread. What one raises is raised after the results that came before it. Closing the iterator cancels.
        """
        running: set[concurrent.futures.Future[R]] = set()
        source = iter(items)
        more = True
        try:
            while more or running:
                while more and len(running) < at_once:
                    try:
                        running.add(self.start(work(next(source))))
                    except StopIteration:
                        more = False
                if not running:
                    break
                done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
                failed = [future for future in done if future.exception()]
                if failed:
                    yield from (future.result() for future in done if future not in failed)
                    raise failed[0].exception() or RuntimeError
                first = done.pop()
                running.remove(first)
                yield first.result()
        finally:
            for future in running:
                future.cancel()
