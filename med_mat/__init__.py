"""Med-MAT: public medical imaging datasets as one MAT-labelled visual question answering dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

__all__ = ["__version__", "explode", "prompt", "sources"]

if TYPE_CHECKING:
    from med_mat.rows import explode, prompt


def sources(**wanted: str) -> list[dict[str, Any]]:
    """Lists the sources of the catalogue, and those that installed packages add.

    Args:
        wanted: Any of ``modality``, ``anatomy``, ``subset``, ``kind``: only sources that have it are listed.

    Returns:
        One dictionary per source: number, slug, title, status, kind, subset, triplet (true and published), access,
        licence, right of redistribution, homepage.

    >>> [source["slug"] for source in sources(subset="02")]
    ['ct_kidney']
    """
    from med_mat.listing import list_sources
    from med_mat.registry import registry

    return list_sources(registry(), wanted)


def __getattr__(name: str) -> Any:
    # `import med_mat` stays quick: datasets is imported by whoever explodes.
    if name in ("explode", "prompt"):
        from importlib import import_module

        return getattr(import_module("med_mat.rows"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
