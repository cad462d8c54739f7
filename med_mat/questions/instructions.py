"""The six instructions of each subset: the question that is shown with a picture, above its options.

They lie beside this module as ``subset_NN.yaml``. What an instruction may say is tested in
``tests/test_instructions.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from med_mat.errors import MedMatError
from med_mat.vocabulary import Kind, load_yaml
from med_mat.vocabulary import subsets as published_subsets

INSTRUCTIONS_PER_SUBSET = 6
"""As many as Med-MAT wrote for each subset (arXiv 2412.20070)."""


@dataclass(frozen=True, slots=True)
class Instructions:
    """What can be asked of every picture of a subset.

    Attributes:
        subset: Number as published, two digits.
        kind: As published: ``classification`` asks for one label, ``multilabel`` for all labels of the picture,
            ``detection`` and ``segmentation`` for the boxes of a label.
        noun: What every picture of the subset is, without article: "CT slice of the kidneys".
        anchors: Words that tell the subset's instructions from those of all others. An anchor of several words
            is in a text when each of its words is; every instruction has at least one anchor.
        instructions: Six questions, different in clinical content; where boxes are asked for, each with one
            ``{label}``.
        presence: Yes/no question with one ``{label}`` for a clean label, or None where none reads well.
        count: Question with one ``{label}`` for the number of its regions, or None where they are no things to count.
        box: Question with one ``{label}``, to which one box of several is the answer; None without boxes.
    """

    subset: str
    kind: Kind
    noun: str
    anchors: tuple[str, ...]
    instructions: tuple[str, ...]
    presence: str | None
    count: str | None = None
    box: str | None = None


def _question(text: str) -> str:
    if text != " ".join(text.split()) or not text.endswith("?"):
        raise ValueError("expected one line without double blanks that ends with '?'")
    return text


def _template(text: str) -> str:
    if text.count("{label}") != 1 or set("{}") & set(text.replace("{label}", "")):
        raise ValueError("expected {label} once and no other braces")
    return _question(text)


def _distinct(texts: tuple[str, ...]) -> tuple[str, ...]:
    if len({text.lower() for text in texts}) != len(texts):
        raise ValueError("expected no entry twice")
    return texts


_Text = Annotated[str, Field(min_length=1)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    subset: _Text
    noun: _Text
    anchors: Annotated[tuple[_Text, ...], Field(min_length=1), AfterValidator(_distinct)]
    presence: Annotated[str, AfterValidator(_template)] | None
    count: Annotated[str, AfterValidator(_template)] | None = None
    box: Annotated[str, AfterValidator(_template)] | None = None
    instructions: Annotated[
        tuple[Annotated[str, AfterValidator(_question)], ...],
        Field(min_length=INSTRUCTIONS_PER_SUBSET, max_length=INSTRUCTIONS_PER_SUBSET),
        AfterValidator(_distinct),
    ]


def _file_name(subset: str) -> str:
    return f"subset_{subset}.yaml"


def instructed_subsets() -> tuple[str, ...]:
    """Returns the numbers of the subsets that have instructions, two digits each, ascending."""
    names = {entry.name for entry in files(__package__).iterdir()}
    return tuple(number for number in sorted(published_subsets()) if _file_name(number) in names)


def parse_instructions(text: str, name: str) -> Instructions:
    """Reads the YAML text of one subset.

    Args:
        text: Content of the file.
        name: Name of the file, ``subset_NN.yaml``; errors give it, and its number must be the file's.

    Raises:
        MedMatError: The text is no YAML, a key is missing, unknown or doubled, or a value is not what it must be.
    """
    where = f"med_mat/questions/{name}"
    try:
        content = load_yaml(text)
    except yaml.YAMLError as error:
        raise MedMatError(f"{where} is not valid YAML: {error}. Mend the file.") from error
    try:
        file = _File.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'the file'}: {item['msg']}, found {item['input']!r:.80}"
            for item in error.errors()
        )
        raise MedMatError(f"{where} does not fit: {problems}. Mend the file.") from error
    if file.subset not in published_subsets() or name != _file_name(file.subset):
        raise MedMatError(f"{where} says subset {file.subset!r}; expected the number in its file name. Mend either.")
    kind = published_subsets()[file.subset].kind
    regions = kind in ("detection", "segmentation")
    asks = [text.count("{label}") for text in file.instructions]
    if asks != [int(regions)] * len(asks) or regions != (file.box is not None) or (file.count and not regions):
        raise MedMatError(
            f"{where} is of kind {kind}: expected box, and {{label}} once in each instruction, where boxes are asked "
            "for, and neither of these nor count elsewhere. Mend the file."
        )
    return Instructions(
        subset=file.subset,
        kind=kind,
        noun=file.noun,
        anchors=file.anchors,
        instructions=file.instructions,
        presence=file.presence,
        count=file.count,
        box=file.box,
    )


@cache
def load_instructions(subset: str) -> Instructions:
    """Returns the instructions of a subset; read once, then kept.

    Args:
        subset: Number as published, two digits: ``"02"``.

    Raises:
        MedMatError: The subset has no instructions, or its file does not fit.
    """
    if subset not in instructed_subsets():
        raise MedMatError(
            f"No instructions for subset {subset!r}: expected one of {', '.join(instructed_subsets())} (two digits). "
            f"Ask for one of these, or write med_mat/questions/{_file_name(subset)}."
        )
    name = _file_name(subset)
    return parse_instructions(files(__package__).joinpath(name).read_text(encoding="utf-8"), name)
