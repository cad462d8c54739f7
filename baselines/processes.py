"""The processes of a run under ``accelerate launch``, and the device of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelerate import PartialState


def this_process() -> PartialState:
    """Returns rank, number of processes and device of this process; alone without ``accelerate launch``."""
    import torch
    from accelerate import PartialState

    # Unless told so, accelerate takes several processes without a GPU for as many runs of one.
    return PartialState(cpu=not torch.cuda.is_available())
