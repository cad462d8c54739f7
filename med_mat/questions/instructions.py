"""The six instructions of each subset: the question that is shown with a picture, above its options.

They lie beside this module as ``subset_NN.yaml``. What an instruction may say is tested in
``tests/test_instructions.py``.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from med_mat.errors import MedMatError

Kind = Literal["classification", "multilabel"]

INSTRUCTIONS_PER_SUBSET = 6
"""Med-MAT wrote six instructions per subset (arXiv 2412.20070, section 3)."""


@dataclass(frozen=True, slots=True)
class Instructions:
    """What can be asked of every picture of a subset.

    Attributes:
        subset: Number as published, two digits.
        kind: ``classification`` where an option is one label, ``multilabel`` where it is a set of labels.
        noun: What every picture of the subset is, without article: "CT slice of the kidneys".
        anchors: Words that tell the subset's instructions from those of all others. An anchor of several words
            is in a text when each of its words is; every instruction has at least one anchor.
        instructions: Six questions, different in clinical content.
        presence: Yes/no question with one ``{label}`` for a clean lower-case label, or None where none reads well.
    """

    subset: str
    kind: Kind
    noun: str
    anchors: tuple[str, ...]
    instructions: tuple[str, ...]
    presence: str | None


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML keeps the last of two equal keys and says nothing; a lost instruction is an error here."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def _question(text: str) -> str:
    if text != " ".join(text.split()) or not text.endswith("?"):
        raise ValueError("expected one line without double blanks that ends with '?'")
    return text


def _template(text: str) -> str:
    if text.count("{label}") != 1 or text.replace("{label}", "").count("{"):
        raise ValueError("expected {label} once and no other placeholder")
    return _question(text)


def _distinct(texts: tuple[str, ...]) -> tuple[str, ...]:
    if len({text.lower() for text in texts}) != len(texts):
        raise ValueError("expected no entry twice")
    return texts


_Text = Annotated[str, Field(min_length=1)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    subset: Annotated[str, Field(pattern=r"^\d\d$")]
    kind: Kind
    noun: _Text
    anchors: Annotated[tuple[_Text, ...], Field(min_length=1), AfterValidator(_distinct)]
    presence: Annotated[str, AfterValidator(_template)] | None
    instructions: Annotated[
        tuple[Annotated[str, AfterValidator(_question)], ...],
        Field(min_length=INSTRUCTIONS_PER_SUBSET, max_length=INSTRUCTIONS_PER_SUBSET),
        AfterValidator(_distinct),
    ]


def subsets() -> tuple[str, ...]:
    """Numbers of the subsets that have instructions, two digits each, ascending."""
    names = (entry.name for entry in files(__package__).iterdir())
    return tuple(sorted(name[7:9] for name in names if name.startswith("subset_") and name.endswith(".yaml")))


def parse_instructions(text: str, name: str) -> Instructions:
    """Reads the YAML text of one subset.

    Args:
        text: Content of the file.
        name: Name of the file, ``subset_NN.yaml``; errors give it, and its number must be the file's.

    Raises:
        MedMatError: The text is no YAML, a key is missing, unknown or doubled, or a value is not what it must be.
    """
    try:
        content = yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        raise MedMatError(f"med_mat/questions/{name} is not valid YAML: {error}. Mend the file.") from error
    try:
        file = _File.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'file'}: {item['msg']}, found {item['input']!r}"
            for item in error.errors()
        )
        raise MedMatError(f"med_mat/questions/{name} does not fit: {problems}. Mend the file.") from error
    if name != f"subset_{file.subset}.yaml":
        raise MedMatError(
            f"med_mat/questions/{name} says subset {file.subset!r}; expected the number in its file name. Mend either."
        )
    return Instructions(
        subset=file.subset,
        kind=file.kind,
        noun=file.noun,
        anchors=file.anchors,
        instructions=file.instructions,
        presence=file.presence,
    )


@cache
def load_instructions(subset: str) -> Instructions:
    """Gives the instructions of a subset; read once, then kept.

    Args:
        subset: Number as published, two digits: ``"02"``.

    Raises:
        MedMatError: The subset has no instructions, or its file does not fit.
    """
    if subset not in subsets():
        raise MedMatError(
            f"No instructions for subset {subset!r}: expected one of {', '.join(subsets())} (two digits). "
            f"Write med_mat/questions/subset_{subset}.yaml or ask for another subset."
        )
    name = f"subset_{subset}.yaml"
    return parse_instructions(files(__package__).joinpath(name).read_text(encoding="utf-8"), name)
