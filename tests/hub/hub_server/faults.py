"""What can be made to go wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Effect = Literal["drop", "drop_answer", "cut", "status", "slow", "call", "call_after"]


@dataclass
class Fault:
    """Something that goes wrong at requests that match, from the ``after``-th on, ``times`` times.

    Attributes:
        effect: ``drop`` closes the connection before anything is done, ``drop_answer`` after it is done; ``cut``
            closes it when half of the body has been read; ``status`` answers with ``status``; ``slow`` waits
            ``seconds`` first; ``call`` and ``call_after`` run ``action`` before and after the work.
        pattern: Regular expression that matches from the start of ``METHOD /path``.
        after: Number of matching requests that go well first.
        times: How many go wrong then.
    """

    effect: Effect
    pattern: str = ".*"
    after: int = 0
    times: int = 1
    status: int = 500
    retry_after: int | None = None
    seconds: float = 0.0
    action: Callable[[], None] | None = None
    seen: int = 0

    def strikes(self, line: str) -> bool:
        """Counts a request; tells whether it goes wrong."""
        if not re.match(self.pattern, line):
            return False
        self.seen += 1
        return self.after < self.seen <= self.after + self.times
