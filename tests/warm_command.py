"""The installed command with its imports done: waits, and runs each command as a fork of itself.

``tiny.med_mat`` starts it as a script, once per process of the suite, and writes one line of JSON per command.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

# What most commands import. What a command must not import is tested on processes that do not come from here.
MODULES = ("cli", "build", "contribute.check", "dataset_card", "export", "listing", "report.page", "terminal")


def _next_command() -> dict[str, Any] | None:
    """Gives a command, in a new process that is to go on as if started for it; None when no more are to come."""
    with os.fdopen(os.dup(0)) as requests, os.fdopen(os.dup(1), "w") as answers:
        for request in iter(requests.readline, ""):
            child = os.fork()
            if not child:
                return dict(json.loads(request))
            answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
            answers.flush()
    return None


def _run(arguments: list[str], environment: dict[str, str], folder: str, streams: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, name in enumerate((os.devnull, "out", "err")):
        opened = os.open(Path(streams, name), os.O_RDWR | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["med-mat", *arguments]
    sys.modules["med_mat.cli"].main()


if __name__ == "__main__":
    for _name in MODULES:
        import_module(f"med_mat.{_name}")
    if (_command := _next_command()) is not None:
        _run(**_command)
