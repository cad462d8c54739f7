"""``croissant.json``: the dataset described in MLCommons' Croissant format, written and checked by mlcroissant."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from med_mat.card import Card
from med_mat.citations import PAPER, citation_link
from med_mat.errors import CardError
from med_mat.schema import ROW
from med_mat.vocabulary import Redistribution, vocabulary

if TYPE_CHECKING:
    import mlcroissant

_REPO = "repo"
_FILES = "parquet-files"
_PICTURES = ("image", "mask")
_SENSITIVE = (
    "The pictures show patients. They come from releases whose owners state that they are de-identified. Metadata of "
    "picture files is removed, no DICOM tag is published, names of patients, lesions, slides and videos are hashed.",
    "Columns under extra hold age (90 for all above 89), sex, view, laterality and site where a release gives them.",
    "Who finds something that tells who a person is reports it; the source is then withdrawn.",
)
_LIMITS = (
    "Not for clinical use. No label is a diagnosis.",
    "Labels come from sources of differing quality: some were mined from reports, some set by one reader.",
    "Sources differ in scanner, site and population; a model can learn these in place of the finding.",
)
_USES = (
    "Training and comparing models that answer questions about medical pictures, in research.",
    "Studying generalisation over modality, anatomical area and task.",
)


def croissant(
    cards: Sequence[Card],
    manifest: Mapping[str, Any],
    served: Mapping[str, Redistribution] | None = None,
    *,
    url: str,
    version: str,
) -> str:
    """Writes ``croissant.json``.

    Args:
        cards: Cards in order of admission.
        manifest: The manifest; of a source, ``splits`` is read.
        served: Slug to what is served of the source. None where all of each is.
        url: Address of the dataset's repository.
        version: Version of the dataset; its first three numbers are given, as Croissant wants them.

    Returns:
        JSON that mlcroissant finds no error in.

    Raises:
        CardError: If mlcroissant finds one.
    """
    import mlcroissant as mlc

    metadata = mlc.Metadata(
        name="Med-MAT",
        description="Public medical imaging datasets as one visual question answering dataset: every picture carries "
        "its modality, anatomical area and task.",
        url=url,
        version=".".join(version.split(".")[:3]),
        license=_licences(cards, served),
        cite_as=PAPER,
        keywords=["medical imaging", "visual question answering", *_words(cards)],
        in_language=["en"],
        personal_sensitive_information=list(_SENSITIVE),
        data_limitations=list(_LIMITS),
        data_use_cases=list(_USES),
        distribution=[
            mlc.FileObject(
                id=_REPO,
                name=_REPO,
                description="The repository.",
                content_url=url,
                encoding_formats=["git+https"],
                # Every commit changes a repository's hash; mlcroissant wants a value, and this is the Hub's own.
                sha256="https://github.com/mlcommons/croissant/issues/80",
            ),
            mlc.FileSet(
                id=_FILES,
                name=_FILES,
                description="One folder per source, one or more files per split.",
                contained_in=[_REPO],
                encoding_formats=["application/x-parquet"],
                includes=["data/*/*.parquet"],
            ),
        ],
        record_sets=[_sources(cards, manifest, served), _rows()],
    )
    found = metadata.issues
    if found.errors:
        raise CardError(f"croissant.json: {'; '.join(sorted(found.errors))}")
    return json.dumps(metadata.to_json(), indent=1, ensure_ascii=False, sort_keys=True, default=str) + "\n"


def _words(cards: Sequence[Card]) -> list[str]:
    names = vocabulary().modalities
    return [*sorted({names[card.modality] for card in cards}), *sorted({card.anatomy for card in cards})]


def _licences(cards: Sequence[Card], served: Mapping[str, Redistribution] | None) -> list[str]:
    shown = [card for card in cards if served is None or served.get(card.slug, "none") != "none"]
    links = {card.licence.url or card.licence.spdx or card.licence.name for card in shown}
    return sorted(links) or ["per source"]


def _sources(
    cards: Sequence[Card], manifest: Mapping[str, Any], served: Mapping[str, Redistribution] | None
) -> mlcroissant.RecordSet:
    import mlcroissant as mlc

    columns = {
        "slug": "Name of the source everywhere in the dataset.",
        "title": "Its title.",
        "licence": "The terms of its owner.",
        "served": "images (pictures and labels), annotations (labels) or none.",
        "homepage": "Where the official download is.",
        "citation": "What to cite.",
        "rows": "Rows in this dataset.",
    }
    data = []
    for card in cards:
        right = "images" if served is None else served.get(card.slug, "none")
        entry = {"splits": {}} if right == "none" else manifest["sources"].get(card.slug, {"splits": {}})
        values = {
            "slug": card.slug,
            "title": card.title,
            "licence": card.licence.spdx or card.licence.name,
            "served": right,
            "homepage": card.homepage,
            "citation": citation_link(card),
            "rows": sum(entry["splits"].values()),
        }
        data.append({f"sources/{name}": value for name, value in values.items()})
    return mlc.RecordSet(
        id="sources",
        name="sources",
        description="The sources, each with its licence, and what of it is in the dataset.",
        key=["sources/slug"],
        fields=[
            mlc.Field(
                id=f"sources/{name}",
                name=name,
                description=description,
                data_types=[mlc.DataType.INTEGER if name == "rows" else mlc.DataType.TEXT],
            )
            for name, description in columns.items()
        ],
        data=data,
    )


def _rows() -> mlcroissant.RecordSet:
    import mlcroissant as mlc

    return mlc.RecordSet(
        id="rows",
        name="rows",
        description="One picture a row, with its questions. docs/schema.md of Med-MAT describes each column.",
        key=["rows/id"],
        fields=[_field(field) for field in ROW],
    )


def _field(field: pa.Field) -> mlcroissant.Field:
    import mlcroissant as mlc

    kind = field.type
    repeated = pa.types.is_list(kind)
    inner = kind.value_type if repeated else kind
    picture = field.name in _PICTURES
    parts = [] if picture or not pa.types.is_struct(inner) else list(inner)
    return mlc.Field(
        id=f"rows/{field.name}",
        name=field.name,
        description=_DESCRIPTIONS[field.name],
        data_types=[] if parts else [mlc.DataType.IMAGE_OBJECT if picture else _type(inner)],
        repeated=repeated or None,
        source=_source(field.name, "bytes" if picture else None),
        sub_fields=[
            mlc.Field(
                id=f"rows/{field.name}/{part.name}",
                name=part.name,
                data_types=[_type(part.type.value_type if pa.types.is_list(part.type) else part.type)],
                repeated=pa.types.is_list(part.type) or None,
                source=_source(field.name, part.name),
            )
            for part in parts
        ],
    )


def _source(column: str, part: str | None) -> mlcroissant.Source:
    import mlcroissant as mlc

    return mlc.Source(
        file_set=_FILES,
        extract=mlc.Extract(column=column),
        transforms=[mlc.Transform(json_path=part)] if part else [],
    )


def _type(kind: pa.DataType) -> Any:
    import mlcroissant as mlc

    if pa.types.is_floating(kind):
        return mlc.DataType.FLOAT
    return mlc.DataType.INTEGER if pa.types.is_integer(kind) else mlc.DataType.TEXT


_DESCRIPTIONS = {
    "id": "Source and hash of the picture's name in its release.",
    "image": "The picture; null where its owner does not let others pass it on.",
    "question": "The primary question.",
    "options": "What there is to choose from; empty for open questions.",
    "answer": "The right answer.",
    "answer_index": "Its place among the options, from 0.",
    "more_questions": "What else can be asked of the picture.",
    "labels": "All labels of the picture.",
    "objects": "Boxes: left, top, right, bottom as shares of width and height.",
    "mask": "Label map of the picture's size; value i names mask_labels[i-1].",
    "mask_labels": "Labels of the mask.",
    "kind": "classification, multilabel, detection or segmentation.",
    "source": "The source's name.",
    "subset": "Number of the published subset.",
    "modality": "True modality.",
    "anatomy": "True anatomical area.",
    "task": "True task.",
    "task_elements": "Coarse words of the paper's tables.",
    "published_modality": "Modality in the published table.",
    "published_anatomy": "Area in the published table.",
    "published_task": "Task in the published table.",
    "group": "Hash of patient, lesion, slide, video or original: rows that share it share a split.",
    "key": "Name of the picture in the official release.",
    "frame": "Frame or slice in the file, from 0.",
    "raw_sha256": "SHA-256 of the file in the official release.",
    "pixel_hash": "Equal for equal pixels.",
    "perceptual_hash": "Close for look-alike pictures.",
    "width": "Width in pixels.",
    "height": "Height in pixels.",
    "licence": "The source's licence.",
    "extra": "Age, sex, view, laterality and site, where the release tells.",
}
