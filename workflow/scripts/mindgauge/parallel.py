"""A function over many lines in several processes: the order is kept, and memory does not grow with the input."""

import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
BATCH = 256


def in_batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Lists of at most `size` items."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def over_batches(function: Callable[[list[T]], list[R]], items: Iterable[T], threads: int) -> Iterator[R]:
    """What `function` (of a module's top level) makes of the batches, item by item, in the order of `items`."""
    if threads <= 1:
        for batch in in_batches(items):
            yield from function(batch)
        return
    # The pipe to the workers holds a few batches and then blocks the feeder: that bounds what is read ahead.
    with multiprocessing.get_context("forkserver").Pool(threads) as pool:
        for results in pool.imap(function, in_batches(items)):
            yield from results
