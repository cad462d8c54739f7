"""The README of a build: configs in its front matter, so that ``load_dataset`` works on the folder as it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from med_mat.card import Card
from med_mat.configs import DEFAULT, Config

if TYPE_CHECKING:
    from huggingface_hub import DatasetCardData

SIZES = (("n<1K", 10**3), ("1K<n<10K", 10**4), ("10K<n<100K", 10**5), ("100K<n<1M", 10**6), ("1M<n<10M", 10**7))

_TEXT = """\
# Med-MAT

Public medical imaging datasets as one visual question answering dataset. Every picture carries its MAT triplet:
modality, anatomical area, task. After [Med-MAT](https://arxiv.org/abs/2412.20070) (ACL 2025).

**Not for clinical use.** Labels come from {number} sources of differing quality; some were mined from reports.

```python
from datasets import load_dataset

rows = load_dataset("med-mat", "{example}", split="{split}")
```

Each source has a licence of its own, below. It binds whoever uses its rows.

## Sources

| source | subset | modality | anatomy | rows | train | validation | test | licence | may be passed on |
| --- | --- | --- | --- | ---: | ---: | ---: | ---: | --- | --- |
{sources}

## Configs

{configs}
"""


def dataset_card(configs: Sequence[Config], cards: Sequence[Card], manifest: Mapping[str, Any]) -> str:
    """Writes the README of a build.

    Args:
        configs: What ``load_dataset`` can be asked for.
        cards: Cards of the sources, in order of admission.
        manifest: The build's manifest.
    """
    return f"---\n{_front_matter(configs, manifest)}\n---\n{_body(configs, cards, manifest)}"


def _front_matter(configs: Sequence[Config], manifest: Mapping[str, Any]) -> str:
    data: DatasetCardData = _card_data(
        language="en",
        license="other",
        license_name="per-source",
        pretty_name="Med-MAT",
        size_categories=next((name for name, limit in SIZES if manifest["rows"] < limit), "n>10M"),
        tags=["medical"],
        task_categories=["visual-question-answering", "image-classification"],
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
    return str(data.to_yaml(line_break="\n"))


def _card_data(**fields: Any) -> DatasetCardData:
    from huggingface_hub import DatasetCardData

    return DatasetCardData(**fields)


def _body(configs: Sequence[Config], cards: Sequence[Card], manifest: Mapping[str, Any]) -> str:
    entries = manifest["sources"]
    lines = []
    for card in cards:
        entry = entries[card.slug]
        splits = " | ".join(str(entry["splits"].get(split, 0)) for split in ("train", "validation", "test"))
        licence = card.licence.spdx or card.licence.name
        lines.append(
            f"| [{card.slug}]({card.homepage}) | {card.subset or ''} | {card.modality} | {card.anatomy} | "
            f"{entry['rows']} | {splits} | {_cell(licence)} | {card.redistribution} |"
        )
    first = next((config for config in configs if config.name != DEFAULT), None)
    return _TEXT.format(
        number=len(cards),
        example=first.name if first else DEFAULT,
        split=next(iter(first.globs)) if first else "train",
        sources="\n".join(lines),
        configs=", ".join(f"`{config.name}`" for config in configs),
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
