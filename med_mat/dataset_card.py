"""The README of a build or of the published dataset: configs as YAML for ``load_dataset``, facts for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from med_mat.card import Card
from med_mat.citations import PAPER, citation_link
from med_mat.configs import DEFAULT, SPLITS, Config
from med_mat.vocabulary import Redistribution, subsets, vocabulary

if TYPE_CHECKING:
    from huggingface_hub import DatasetCardData

TEMPLATE = "dataset_card.md.jinja"
SIZES = (("n<1K", 10**3), ("1K<n<10K", 10**4), ("10K<n<100K", 10**5), ("100K<n<1M", 10**6), ("1M<n<10M", 10**7))
_TASKS = {"detection": "object-detection", "segmentation": "image-segmentation"}
_HERE: dict[Redistribution, str] = {"images": "pictures and labels", "annotations": "labels", "none": "nothing"}

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --soft: #8881; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 100rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ display: block; overflow-x: auto; border-collapse: collapse; font-size: 13px; }}
th, td {{ border: 1px solid var(--line); padding: .25rem .5rem; text-align: left; vertical-align: top; }}
th {{ background: var(--soft); }}
td {{ min-width: 2.5rem; max-width: 24rem; }}
[style*="right"] {{ text-align: right; font-variant-numeric: tabular-nums; }}
pre {{ background: var(--soft); padding: .75rem; overflow-x: auto; }}
code {{ font-size: 13px; }}
</style>
{body}
</html>
"""


@dataclass(frozen=True, slots=True)
class _Served:
    """A source and what of it is in the dataset."""

    card: Card
    right: Redistribution
    splits: Mapping[str, int]
    disputed: int = 0

    @property
    def rows(self) -> int:
        return sum(self.splits.values())

    @property
    def settled(self) -> int:
        """Rows that configs of several sources have."""
        return self.rows - self.disputed

    @property
    def with_pixels(self) -> int:
        return self.settled if self.right == "images" else 0


def dataset_card(
    configs: Sequence[Config],
    cards: Sequence[Card],
    manifest: Mapping[str, Any],
    served: Mapping[str, Redistribution] | None = None,
    *,
    repo: str = "med-mat",
) -> str:
    """Writes the README of a build, or of what is published of it.

    Args:
        configs: What ``load_dataset`` can be asked for.
        cards: Cards of the sources, in order of admission. A source of which nothing is served has a line too.
        manifest: The manifest; of a source, ``splits`` and ``disputed`` are read.
        served: Slug to what is served of the source. None for a local build, which holds all pictures.
        repo: What ``load_dataset`` takes: a folder, or the name of a repository.

    Returns:
        Markdown with YAML front matter. The same arguments give the same text.
    """
    from huggingface_hub import DatasetCard

    sources = [_served(card, manifest["sources"].get(card.slug), served) for card in cards]
    text = DatasetCard.from_template(
        _front_matter(configs, sources),
        template_str=files("med_mat").joinpath(TEMPLATE).read_text(encoding="utf-8"),
        published=served is not None,
        **_facts(configs, sources, repo),
    )
    return f"{text.content.rstrip()}\n"


def _served(card: Card, entry: Mapping[str, Any] | None, served: Mapping[str, Redistribution] | None) -> _Served:
    right: Redistribution = "images" if served is None else served.get(card.slug, "none")
    if entry is None or right == "none":
        return _Served(card, right, {})
    return _Served(card, right, entry["splits"], sum(entry.get("disputed", {}).get("splits", {}).values()))


def _front_matter(configs: Sequence[Config], sources: Sequence[_Served]) -> DatasetCardData:
    rows = sum(source.rows for source in sources)
    present = [source.card for source in sources if source.rows]
    names = [vocabulary().modalities[code].lower() for code in sorted({card.modality for card in present})]
    return _card_data(
        language="en",
        license="other",
        license_name="per-source",
        pretty_name="Med-MAT",
        size_categories=next((name for name, limit in SIZES if rows < limit), "n>10M"),
        tags=["medical", *names, *sorted({card.anatomy for card in present} - set(names))],
        task_categories=[
            "visual-question-answering",
            "image-classification",
            *sorted({_TASKS[card.kind] for card in present if card.kind in _TASKS}),
        ],
        configs=[
            {
                "config_name": config.name,
                **({"default": True} if config.name == DEFAULT else {}),
                "data_files": [
                    {"split": split, "path": paths[0] if len(paths) == 1 else list(paths)}
                    for split, paths in config.globs.items()
                ],
            }
            for config in configs
        ],
    )


def _card_data(**fields: Any) -> DatasetCardData:
    from huggingface_hub import DatasetCardData

    return DatasetCardData(**fields)


def _facts(configs: Sequence[Config], sources: Sequence[_Served], repo: str) -> dict[str, Any]:
    lacking = [source for source in sources if source.right == "annotations" and source.rows]
    partial = lacking[0].card.slug if lacking else ""
    # The example shows pictures, if any are served.
    shown = next((source for source in sources if source.with_pixels), None)
    first = shown.card.slug if shown else next((config.name for config in configs), DEFAULT)
    splits = next((list(config.globs) for config in configs if config.name == first), ["train"])
    return {
        "repo": repo,
        "example": first,
        "split": splits[0],
        "without": bool(lacking),
        "without_text": _without_text(lacking),
        "partial": partial,
        "lacking": partial,
        "disputed": _disputed_text(sources),
        "served": {right: _sum(sources, right) for right in _HERE},
        "matrix": _matrix(sources),
        "subsets": [_subset_line(number, sources) for number in sorted(_numbers(sources))],
        "sources": [_source_line(source) for source in sources],
        "configs": ", ".join(f"`{config.name}`" for config in configs),
        "paper": PAPER,
    }


def _without_text(lacking: Sequence[_Served]) -> str:
    number = len(lacking)
    return (
        f"Rows of {number} source{'s' * (number != 1)} come without pictures and masks: their owners do not allow it, "
        "or not clearly, to pass them on.\nDownload those from their owners; one call puts the pictures into the rows:"
    )


def _disputed_text(sources: Sequence[_Served]) -> str:
    disputed = [source for source in sources if source.disputed]
    rows = sum(source.disputed for source in disputed)
    if not rows:
        return ""
    return (
        f"{rows:,} row{'s' * (rows != 1)} of {len(disputed)} source{'s' * (len(disputed) != 1)} show a picture that "
        "another source answers differently. They are in the config of\ntheir own source and in `everything`, and in "
        "no config that merges sources; `manifest.json` lists them under `disputed`."
    )


def _sum(sources: Sequence[_Served], right: Redistribution) -> dict[str, str]:
    chosen = [source for source in sources if source.right == right]
    return {"sources": str(len(chosen)), "rows": _number(sum(source.rows for source in chosen))}


def _matrix(sources: Sequence[_Served]) -> str:
    cells: Counter[tuple[str, str]] = Counter()
    for source in sources:
        cells[source.card.modality, source.card.anatomy] += source.rows
    areas = sorted({area for (_, area), rows in cells.items() if rows})
    codes = [code for code in vocabulary().modalities if any(cells[code, area] for area in areas)]
    lines = [
        f"| | {' | '.join(areas)} |",
        f"| --- |{' ---: |' * len(areas)}",
        *(
            f"| {vocabulary().modalities[code]} | {' | '.join(_number(cells[code, area]) for area in areas)} |"
            for code in codes
        ),
    ]
    return "\n".join(lines) if codes else "No source has rows."


def _numbers(sources: Sequence[_Served]) -> set[str]:
    return {source.card.subset for source in sources if source.card.subset is not None}


def _subset_line(number: str, sources: Sequence[_Served]) -> dict[str, str]:
    chosen = [source for source in sources if source.card.subset == number]
    rest = [source for source in chosen if source.right != "images"]
    # Nothing can be loaded of a subset without rows.
    name = f"subset_{number}"
    return {
        "config": f"`{name}`" if any(source.settled for source in chosen) else name,
        "title": _cell(subsets()[number].title),
        "sources": str(len(chosen)),
        "rows": _number(sum(source.settled for source in chosen)),
        "served": _number(sum(source.with_pixels for source in chosen)),
        "rest": ", ".join(f"[{source.card.slug}]({source.card.homepage})" for source in rest),
    }


def _source_line(source: _Served) -> dict[str, Any]:
    card = source.card
    licence = _cell(card.licence.spdx or card.licence.name)
    return {
        "slug": card.slug,
        "homepage": card.homepage,
        "subset": card.subset or "",
        "modality": card.modality,
        "anatomy": card.anatomy,
        "task": card.task,
        "rows": _number(source.rows),
        **{split: _number(source.splits.get(split, 0)) for split in SPLITS},
        "licence": f"[{licence}]({card.licence.url})" if card.licence.url else licence,
        "right": card.redistribution,
        "here": _HERE[source.right],
        "cite": citation_link(card),
        "defects": [_cell(text) for text in _defects(source)] if source.right != "none" else [],
    }


def _defects(source: _Served) -> Iterator[str]:
    card = source.card
    if source.disputed:
        yield f"{source.disputed:,} of its pictures are answered differently by another source"
    for defect in card.known_defects:
        number = f"{defect.count:,} of " if defect.count else ""
        yield f"{number}{defect.kind.replace('_', ' ')}: {defect.why}"
    if card.official_splits == "void" and card.official_splits_reason:
        yield f"The official splits are not kept: {card.official_splits_reason}"
    if card.no_test_split:
        yield f"No test split: {card.no_test_split}"
    if card.burnt_in_text:
        yield f"Text in the pictures: {card.burnt_in_text}"
    for erratum in card.errata:
        yield f"Published table: {erratum}"


def _number(number: int) -> str:
    return f"{number:,}" if number else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def card_as_page(text: str) -> str:
    """Shows a README as a page: HTML with all that it needs, front matter left out.

    Args:
        text: As ``dataset_card`` gives it. HTML in it is shown, not obeyed.
    """
    from markdown_it import MarkdownIt

    body = text.split("---\n", 2)[2]
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    return _PAGE.format(title="Med-MAT", body=markdown.render(body))
