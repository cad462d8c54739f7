"""Units of work of the Ray tests. Every worker imports this module, so that it imports little."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from med_mat.errors import LayoutError


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    if number == 3:
        raise LayoutError("three is not wanted")
    return number


def first(folder: Path, name: str) -> bool:
    """Tells one caller among all processes that it is the first."""
    try:
        os.close(os.open(folder / name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def die_once(folder: Path, number: int) -> int:
    if number == 3 and first(folder, "died"):
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def in_trouble(folder: Path, function: Callable[[Any], Any], unit: Any) -> Any:
    """Does a unit; the first ever is killed within it, and the third says which node is to be lost and waits for it."""
    import ray

    if first(folder, "killed"):
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGKILL)).start()
        while True:
            function(unit)
    if first(folder, "second") or not first(folder, "node"):
        return function(unit)
    function(unit)
    (folder / "node id").write_text(ray.get_runtime_context().get_node_id(), encoding="utf-8")
    time.sleep(600)
    raise AssertionError("nobody took the node away")
