"""What stands beside the rows of a build: README, citations, croissant.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from med_mat.citations import bibtex, cff
from med_mat.configs import configs, settled_splits
from med_mat.croissant import croissant
from med_mat.dataset_card import dataset_card
from med_mat.errors import DependencyError, LayoutError
from med_mat.registry import Registry

HUB = "https://huggingface.co/datasets"


def read_manifest(build: Path) -> dict[str, Any]:
    """Reads the manifest of a build.

    Raises:
        LayoutError: If the folder is no finished build.
    """
    path = build / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise LayoutError(f"{path}: expected the manifest that `med-mat build` writes at its end: {error}") from error
    return manifest


def publication_files(
    registry: Registry, build: Path, *, published: bool = False, repo: str = "med-mat"
) -> dict[str, str]:
    """Writes what stands beside the rows.

    Args:
        registry: Sources with their cards.
        build: A finished build.
        published: Each source's right decides what is served; else all is, as in the folder.
        repo: What readers give to ``load_dataset``.

    Returns:
        Name to content of ``README.md``, ``CITATION.bib``, ``CITATION.cff`` and ``croissant.json``.

    Raises:
        LayoutError: If the folder is no finished build.
        CardError: If a citation is no BibTeX, or a card says what croissant.json cannot hold.
        DependencyError: If the extra ``publish`` is not installed.
        KeyError: If the build has a source that is not in the registry.
    """
    manifest = read_manifest(build)
    built = {slug: registry[slug].card for slug in manifest["sources"]}
    cards = [built[source.slug] for source in registry if source.slug in built]
    served = {card.slug: card.redistribution for card in cards} if published else None
    rows = [
        (card, list(manifest["sources"][card.slug]["splits"]))
        for card in cards
        if served is None or served[card.slug] != "none"
    ]
    pixels = None if served is None else [slug for slug, right in served.items() if right == "images"]
    settled = {card.slug: settled_splits(manifest["sources"][card.slug]) for card, _ in rows}
    listed = configs(rows, with_pixels=pixels, settled=settled)
    readme = dataset_card(listed, cards, manifest, served, repo=repo)
    version = manifest["med_mat"]
    try:
        return {
            "README.md": readme,
            "CITATION.bib": bibtex(cards),
            "CITATION.cff": cff(cards, version=version),
            "croissant.json": croissant(cards, manifest, served, url=f"{HUB}/{repo}", version=version),
        }
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"{error.name} is not installed, which writes citations or croissant.json: pip install 'med-mat[publish]'"
        ) from error
