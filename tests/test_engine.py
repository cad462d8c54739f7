"""Engine: units of work on processes; a failure is raised here, and nobody outlives the build."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from med_mat.engine import processes, run
from med_mat.errors import LayoutError, WorkerError


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    if number == 3:
        raise LayoutError("three is not wanted")
    return number


def die(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def number_of_process(_: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_every_unit_is_done_once(workers: int) -> None:
    assert sorted(run(square, range(20), workers)) == [number * number for number in range(20)]
    assert list(run(square, [], workers)) == []


def test_one_worker_is_this_process_and_more_are_others() -> None:
    assert set(run(number_of_process, range(3), 1)) == {os.getpid()}
    assert os.getpid() not in set(run(number_of_process, range(8), 2))


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_unit_raises_is_raised_here(workers: int) -> None:
    with pytest.raises(LayoutError, match=r"^three is not wanted$"):
        list(run(refuse, range(8), workers))


def test_a_process_that_is_gone_is_told() -> None:
    with pytest.raises(WorkerError, match=r"one of 2 processes was ended from outside.* fewer workers"):
        list(run(die, range(8), 2))


@pytest.mark.parametrize("workers", [0, -1])
def test_there_is_at_least_one_worker(workers: int) -> None:
    with pytest.raises(ValueError, match=f"workers must be at least 1, found {workers}"):
        list(run(square, range(3), workers))


def test_units_are_taken_as_workers_become_free() -> None:
    taken = []

    def units() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = run(square, units(), 2)
    next(results)
    assert len(taken) <= 8
    results.close()
    assert len(taken) <= 8


def test_calls_of_one_engine_share_its_processes_until_it_is_gone() -> None:
    engine = processes(2)
    first = set(engine(number_of_process, range(8)))
    assert first & set(engine(number_of_process, range(8)))
    _wait(lambda: all(map(_lives, first)))
    del engine
    _wait(lambda: not any(map(_lives, first)))


def test_an_engine_that_was_closed_or_lost_a_process_starts_others() -> None:
    with processes(2) as engine:
        first = set(engine(number_of_process, range(8)))
        engine.close()
        assert not any(map(_lives, first))
        assert first.isdisjoint(engine(number_of_process, range(8)))
        with pytest.raises(WorkerError, match="one of 2 processes"):
            list(engine(die, range(8)))
        assert sorted(engine(square, range(8))) == [number * number for number in range(8)]
        last = set(engine(number_of_process, range(8)))
    assert not any(map(_lives, last))


def test_a_failure_leaves_the_processes_to_the_next_call() -> None:
    with processes(2) as engine:
        first = set(engine(number_of_process, range(8)))
        with pytest.raises(LayoutError):
            list(engine(refuse, range(100)))
        assert first & set(engine(number_of_process, range(8)))


PARENT = """\
import sys, time
from test_engine import say_and_wait
from med_mat.engine import run
if __name__ == "__main__":
    list(run(say_and_wait, [sys.argv[1]] * 4, 2))
"""


def say_and_wait(folder: str) -> None:
    (Path(folder) / f"{os.getpid()}.worker").touch()
    time.sleep(60)


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT, encoding="utf-8")
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "parent.py", tmp_path],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(lambda: len(list(tmp_path.glob("*.worker"))) == 2 or parent.poll() is not None)
        workers = [int(path.stem) for path in tmp_path.glob("*.worker")]
        assert len(workers) == 2
    finally:
        parent.kill()
        parent.wait()
    _wait(lambda: not any(map(_lives, workers)))


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # One that has ended and that nobody has asked about is no longer at work.
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


def _wait(reached) -> None:
    end = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.02)
