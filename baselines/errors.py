"""Errors of fine-tuning and scoring that people read."""

from __future__ import annotations

from med_mat.errors import MedMatError


class BaselineError(MedMatError):
    """A model, a table of questions or a run folder is not what fine-tuning or scoring needs."""
