"""Runs units of work on the processes of this machine. The only place that knows how work is spread."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import TypeVar

Unit = TypeVar("Unit")
Result = TypeVar("Result")


def run(function: Callable[[Unit], Result], units: Iterable[Unit], workers: int) -> Iterator[Result]:
    """Applies a function to units of work and yields the results as they come, in no fixed order.

    Units are taken from the iterable as workers become free, so that their number may be large. An exception of a
    unit is raised here; units already begun are finished first.

    Args:
        function: A module-level function; unit and result must be picklable.
        units: The work.
        workers: Number of processes. 1 runs everything in this process.

    Raises:
        ValueError: If ``workers`` is less than 1.
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1, found {workers}")
    if workers == 1:
        yield from map(function, units)
        return
    # Not fork: Arrow and the terminal's progress bar have threads here, and a forked child inherits their locks.
    context = multiprocessing.get_context("spawn")
    waiting = iter(units)
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        pending: set[Future[Result]] = set()
        try:
            while True:
                for unit in islice(waiting, 2 * workers - len(pending)):
                    pending.add(pool.submit(function, unit))
                if not pending:
                    return
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in pending:
                future.cancel()
