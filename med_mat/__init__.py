"""Med-MAT: public medical imaging datasets as one MAT-labelled visual question answering dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

__version__ = "0.1.0.dev0"

__all__ = ["__version__", "attach_images", "explode", "load", "prompt", "sources", "subsets"]

if TYPE_CHECKING:
    from med_mat.api import load
    from med_mat.attach import attach_images
    from med_mat.listing import SourceRow, SubsetRow
    from med_mat.rows import explode, prompt

_HOMES = {
    "attach_images": "med_mat.attach",
    "explode": "med_mat.rows",
    "load": "med_mat.api",
    "prompt": "med_mat.rows",
}


def sources(
    *,
    modality: str | None = None,
    anatomy: str | None = None,
    task: str | None = None,
    subset: str | None = None,
    kind: str | None = None,
    access: str | None = None,
    redistribution: str | None = None,
    status: str | None = None,
) -> list[SourceRow]:
    """Lists the sources of the catalogue, and those that installed packages add.

    Each argument narrows the list to the sources that have the value. Case and hyphens do not count.

    Args:
        modality: True modality, by its code, such as ``ct`` or ``xray``.
        anatomy: True anatomical area, such as ``kidney``.
        task: True task, such as ``disease classification``.
        subset: Number of the published subset, such as ``02``.
        kind: ``classification``, ``multilabel``, ``detection`` or ``segmentation``.
        access: What stands before the download: ``open``, ``login``, ``request-form``, ``competition-rules`` or
            ``credentialed``.
        redistribution: What may be passed on: ``images``, ``annotations`` or ``none``.
        status: ``ready`` if there is a loader, else ``planned``.

    Returns:
        One dictionary per source (``med_mat.listing.SourceRow``). Of a planned source the triplet is the published
        one.

    Raises:
        MedMatError: If no source at all has a value.

    >>> [source["slug"] for source in sources(subset="02")]
    ['ct_kidney']
    >>> [source["slug"] for source in sources(modality="ct", anatomy="kidney")]
    ['ct_kidney']
    >>> sources(modality="smell")
    Traceback (most recent call last):
    ...
    med_mat.errors.MedMatError: modality='smell': nothing has that; there are: co, ct, der, dp, end, fp, mic, mri, \
oct, us, xray
    """
    from med_mat.listing import check_words, list_sources
    from med_mat.registry import registry

    wanted = _given(
        modality=modality,
        anatomy=anatomy,
        task=task,
        subset=subset,
        kind=kind,
        access=access,
        redistribution=redistribution,
        status=status,
    )
    every = registry()
    check_words(list_sources(every, {}), wanted)
    return cast("list[SourceRow]", list_sources(every, wanted))


def subsets(
    *,
    number: str | None = None,
    modality: str | None = None,
    anatomy: str | None = None,
    kind: str | None = None,
    element: str | None = None,
) -> list[SubsetRow]:
    """Lists the 53 published subsets, each with its sources and the config that loads it.

    Args:
        number: Two digits.
        modality: Published modality.
        anatomy: Published area.
        kind: Published kind: ``classification``, ``multilabel``, ``detection`` or ``segmentation``.
        element: Coarse task word of the paper's tables.

    Returns:
        One dictionary per subset (``med_mat.listing.SubsetRow``).

    Raises:
        MedMatError: If no subset at all has a value.

    >>> [(subset["config"], subset["sources"]) for subset in subsets(anatomy="kidney")]
    [('subset_02', ['ct_kidney'])]
    """
    from med_mat.listing import check_words, list_subsets
    from med_mat.registry import registry

    wanted = _given(number=number, modality=modality, anatomy=anatomy, kind=kind, element=element)
    every = registry()
    check_words(list_subsets(every, {}), wanted)
    return list_subsets(every, wanted)


def _given(**wanted: str | None) -> dict[str, str]:
    return {name: value for name, value in wanted.items() if value is not None}


def __getattr__(name: str) -> Any:
    # `import med_mat` stays quick: datasets is imported by whoever needs it.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
