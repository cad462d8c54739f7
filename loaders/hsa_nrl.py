"""Chaoyang under the name of its paper's method, HSA-NRL: the same download as ``chaoyang``."""

from .chaoyang import samples

__all__ = ["samples"]
