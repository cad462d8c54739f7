"""Runs units of work on the processes of this machine, as ``engine_ray`` does on a cluster; nothing else knows how."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Protocol, TypeVar

from med_mat.errors import WorkerError

Unit = TypeVar("Unit")
Result = TypeVar("Result")


class Engine(Protocol):
    """Applies a function to units of work and yields the results as they come, in no fixed order."""

    def __call__(self, function: Callable[[Unit], Result], units: Iterable[Unit], /) -> Iterator[Result]:
        """As ``run`` does, but for the number of workers, which the engine knows."""
        ...


class Processes:
    """The engine of this machine's processes.

    They are started with the first unit and wait between calls, so that a build of many sources starts them once. They
    end with ``close``, at the end of a ``with`` block, or when nothing refers to the engine any more.

    Args:
        workers: Number of processes. 1 runs everything in this process.

    Raises:
        ValueError: If ``workers`` is less than 1.
    """

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, found {workers}")
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the processes; a later call starts others."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def __call__(self, function: Callable[[Unit], Result], units: Iterable[Unit], /) -> Iterator[Result]:
        """As ``run`` does, but for the end of the processes."""
        if self.workers == 1:
            yield from map(function, units)
            return
        waiting = iter(units)
        pending: set[Future[Result]] = set()
        done: set[Future[Result]] = set()
        try:
            while True:
                for unit in islice(waiting, 2 * self.workers - len(pending)):
                    pending.add(self._started().submit(function, unit))
                if not pending:
                    return
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                while done:
                    yield done.pop().result()
        except BrokenProcessPool as error:
            self.close()
            raise WorkerError(
                f"one of {self.workers} processes was ended from outside, most often since memory ran out; run again "
                "with fewer workers. What was finished is kept"
            ) from error
        finally:
            wait([future for future in pending if not future.cancel()])

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.workers, mp_context=_context(), initializer=_start_worker)
        return self._pool


def processes(workers: int) -> Processes:
    """Returns the engine of this machine's processes; see ``Processes``."""
    return Processes(workers)


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
        WorkerError: If a process was ended from outside, as happens when memory runs out.
    """
    with processes(workers) as engine:
        yield from engine(function, units)


def _context() -> multiprocessing.context.BaseContext:
    # Not fork: Arrow and the terminal's progress bar have threads here, and a forked child inherits their locks.
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # Imported once, in the server that all workers of all stages are forked from.
    context.set_forkserver_preload(["med_mat.scan", "med_mat.encode", "med_mat.images"])
    return context


def _start_worker() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_picture_memory()


def _end_with_parent() -> None:
    # A killed parent cannot tell its workers to stop: they would wait for work for ever, and write late shards.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def keep_picture_memory() -> None:
    """Lets Pillow keep the memory of a picture for the next one, which the system would have to clear."""
    from PIL import _imaging

    _imaging.set_blocks_max(8)
