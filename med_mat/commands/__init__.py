"""Commands that stand in modules of their own; each module adds itself to the application."""

from __future__ import annotations

from importlib import import_module

import typer

MODULES: tuple[str, ...] = (
    "audit",
    "card",
    "export",
    "import_upstream",
    "download",
    "baselines",
    "new",
    "check",
    "report",
    "browse",
    "push",
    "verify",
    "withdraw",
)
"""Modules of this package with a function ``register(app)``, in the order of ``--help``."""


def register(app: typer.Typer) -> None:
    """Adds the commands of this package to the application."""
    for name in MODULES:
        import_module(f"med_mat.commands.{name}").register(app)
