"""Independent work in several threads, each with its share of torch's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from threading import Lock, Thread
from typing import TypeVar

import torch
from sklearn import config_context, get_config

from skinr.interruption import parts_of_a_whole

MOST_THREADS = 4
"""Most threads of Python, which runs one at a time between torch's operations."""

_SHARING = Lock()

Item = TypeVar("Item")
Result = TypeVar("Result")


def count_threads() -> int:
    """Return how many threads suit independent work on the CPU."""
    return min(MOST_THREADS, torch.get_num_threads())


def map_in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], n_threads: int
) -> list[Result]:
    """Apply a function to items, side by side: two small fits keep two cores busier than one does.

    Threads have the settings of scikit-learn and torch of this one. An error, or a Ctrl-C, ends the
    fits that are running, and no more begin.

    Parameters
    ----------
    function : callable
    items : sequence
    n_threads : int
        Most threads; with one it is this one.

    Returns
    -------
    results : list
    """
    n_threads = min(n_threads, len(items))
    if n_threads <= 1:
        with parts_of_a_whole():
            return [function(item) for item in items]
    config, is_grad_enabled = get_config(), torch.is_grad_enabled()

    def apply(item: Item) -> Result:
        with config_context(**config), torch.set_grad_enabled(is_grad_enabled):
            return function(item)

    share = max(1, torch.get_num_threads() // n_threads)
    pool = ThreadPoolExecutor(n_threads, initializer=_take_share, initargs=(share,))
    try:
        with parts_of_a_whole():
            tasks = [pool.submit(copy_context().run, apply, item) for item in items]
            for task in as_completed(tasks):
                task.result()
            return [task.result() for task in tasks]
    finally:
        pool.shutdown(cancel_futures=True)


def _take_share(n_threads: int) -> None:
    """Set how many threads of torch this thread has, which has just begun.

    Torch gives as many to each thread that begins later, until another one sets what was usual.
    """
    with _SHARING:
        usual = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        another = Thread(target=torch.set_num_threads, args=(usual,))
        another.start()
        another.join()
