"""Runs functions in fresh processes that know a Hub on loopback from their environment, as a user's process would.

The libraries read ``HF_ENDPOINT`` when they are imported, so this process, which imported them offline, cannot be the
client. One process imports them once and forks for each call: a call starts with empty caches, and can be killed.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")
HERE = Path(__file__).parent
PRELOADED = [
    "hub_tasks",
    "aiohttp",
    "datasets.packaged_modules.parquet.parquet",
    "datasets.streaming",
    "fsspec.implementations.http",
    "med_mat.citations",
    "med_mat.cli",
    "med_mat.croissant",
    "mlcroissant.scripts.validate",
    "scipy.io",
]
"""What tasks need that is slow to import: imported once, not in each process."""


class ClientError(Exception):
    """What a call raised; ``kind`` is the name of its class."""

    def __init__(self, kind: str, message: str, trace: str) -> None:
        super().__init__(f"{kind}: {message}\n{trace}")
        self.kind, self.message = kind, message


class KilledError(Exception):
    """The process of a call was killed."""


class Clients:
    """Forks a process per call from one that has the libraries imported."""

    def __init__(self, endpoint: str, token: str, home: Path) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "HF_ENDPOINT": endpoint,
            "HF_TOKEN": token,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            # A reader without torch: datasets would import it for each stream, which takes longer than the test.
            "USE_TORCH": "0",
            "COLUMNS": "200",
            "HF_HUB_OFFLINE": "0",
            "HF_DATASETS_OFFLINE": "0",
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
        }
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "hub_clients.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self.pid: int | None = None

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def __call__(self, function: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
        """Runs a function of an importable module and returns what it returns.

        Raises:
            ClientError: If it raises.
            KilledError: If it is killed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.NamedTemporaryFile(dir=self.home) as answer:
            pickle.dump((answer.name, function, arguments, options), self._process.stdin)
            self._process.stdin.flush()
            self.pid = pickle.load(self._process.stdout)
            status = pickle.load(self._process.stdout)
            self.pid = None
            if os.WIFSIGNALED(status):
                raise KilledError(signal.Signals(os.WTERMSIG(status)).name)
            good, value = pickle.load(answer)
        if not good:
            raise ClientError(*value)
        return value  # type: ignore[no-any-return] # what the function returned, by way of pickle

    def kill(self) -> None:
        """Kills the process of the call that is under way."""
        while self.pid is None:
            time.sleep(0.001)
        os.kill(self.pid, signal.SIGKILL)


def _warm() -> None:
    """Does once what every call would do first: imports, templates and plugins that are loaded when they are used."""
    import yaml
    from tiny import make_card

    from med_mat.hub.state import manifest_of, pages_of

    for name in PRELOADED:
        importlib.import_module(name)
    entry = {"redistribution": "images", "serves": "images", "splits": {"train": 1}, "shards": {}, "rows": 1}
    pages_of([make_card()], manifest_of("0", "1.0.0", {"tiny": entry}, {}, ()), "org/warm", "")
    # The same values from PyYAML's parser in C: the READMEs are long, and each load parses one.
    yaml.SafeLoader = yaml.CSafeLoader  # type: ignore[misc] # a class in the place of one with the same methods


def _serve() -> None:
    import datasets

    _warm()
    datasets.disable_progress_bars()
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            job = pickle.load(requests)
        except EOFError:
            return
        child = os.fork()
        if child == 0:
            _run(*job)
        pickle.dump(child, answers)
        answers.flush()
        pickle.dump(os.waitpid(child, 0)[1], answers)
        answers.flush()


def _run(answer: str, function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    try:
        try:
            outcome = True, function(*arguments, **options)
        except BaseException as error:
            outcome = False, (type(error).__name__, str(error), traceback.format_exc())
        with Path(answer).open("wb") as stream:
            pickle.dump(outcome, stream)
    finally:
        os._exit(0)


if __name__ == "__main__":
    _serve()
