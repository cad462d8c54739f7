"""Runs units of work on a Ray cluster: the same function over the same units as on the processes of one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, TypeVar, cast

from med_mat.engine import Engine, keep_picture_memory
from med_mat.errors import DependencyError, MedMatError, WorkerError

Unit = TypeVar("Unit")
Result = TypeVar("Result")

RETRIES = 3
"""How often a unit is begun anew after its process or its machine was lost. Units are idempotent: the second try writes
the same bytes."""


@contextmanager
def ray_cluster(address: str | None = None, *, workers: int | None = None) -> Iterator[Engine]:
    """Joins a Ray cluster and gives the engine that spreads units over it.

    Args:
        address: As ``ray.init`` takes it: ``auto``, ``host:port`` or ``ray://host:port``. None takes ``RAY_ADDRESS``,
            else the cluster that runs on this machine, else starts one of all its cores for as long as the block runs.
        workers: At most so many units at a time; None takes as many as the cluster has cores.

    Raises:
        DependencyError: If Ray is not installed.
        MedMatError: If there is no cluster at the address.
        ValueError: If ``workers`` is less than 1.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, found {workers}")
    try:
        import ray
    except ImportError as error:
        raise DependencyError("--engine ray needs the extra ray: pip install 'med-mat[ray]'") from error
    try:
        ray.init(address=address, include_dashboard=None if address else False, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise MedMatError(f"no Ray cluster can be joined at {address or 'this machine'}: {error}") from error
    try:
        yield partial(_run, workers=workers)
    finally:
        ray.shutdown()


def _run(function: Callable[[Unit], Result], units: Iterable[Unit], workers: int | None) -> Iterator[Result]:
    import ray

    task: Any = ray.remote(num_cpus=1, max_retries=RETRIES)(_begin)
    waiting = iter(units)
    pending: list[Any] = []
    try:
        while True:
            for unit in islice(waiting, max(0, (workers or _room()) - len(pending))):
                pending.append(task.remote(function, unit))
            if not pending:
                return
            done, pending = ray.wait(pending, timeout=None)
            for reference in done:
                yield _result(reference)
    finally:
        for reference in pending:
            ray.cancel(reference)


def _begin(function: Callable[[Unit], Result], unit: Unit) -> Result:
    keep_picture_memory()
    return function(unit)


def _room() -> int:
    """Twice the cores that the cluster has now, so that none waits for its next unit. Machines come and go."""
    import ray

    resources: dict[str, float] = cast(Any, ray).cluster_resources()
    return 2 * max(1, int(resources.get("CPU", 1)))


def _result(reference: Any) -> Any:
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise WorkerError(
            f"a unit of work was lost {RETRIES + 1} times with its process or machine, most often since memory ran "
            f"out: {error}. Run again with fewer --workers; what was finished is kept"
        ) from error
