"""A build of generated pictures for benchmarks of models."""

from __future__ import annotations

from pathlib import Path

from build import CARD, LOADER, SLUG, generate


def build_pictures(folder: Path, pictures: int, size: int) -> None:
    """Writes ``folder / "med-mat"``: JPEGs with the frequencies of photographs, one question each."""
    from med_mat.build import build
    from med_mat.registry import Registry, registry

    (folder / "loaders").mkdir(parents=True)
    (folder / "loaders" / f"{SLUG}.py").write_text(LOADER, encoding="utf-8")
    (folder / "loaders" / f"{SLUG}.md").write_text(CARD, encoding="utf-8")
    generate(folder / "raw" / SLUG, pictures, size)
    source = registry([folder / "loaders"])[SLUG]
    build(Registry({SLUG: source}), folder / "raw", folder / "med-mat")
