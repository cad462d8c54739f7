"""Numbers and settings of a report in words, the same on the page and in Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from med_mat.baselines.outcomes import Outcome, Outcomes
    from med_mat.baselines.statistics import Interval

_MINUS = "\N{MINUS SIGN}"
_TO = "\N{EN DASH}"
_DIGEST = 12


def percent(share: float | None) -> str:
    """A share in 0..1 as percent with one decimal, without the sign; nothing for None."""
    return "" if share is None else f"{100 * share:.1f}"


def points(share: float | None) -> str:
    """A difference of shares as points with a sign; nothing for None."""
    if share is None:
        return ""
    rounded = round(100 * share, 1)
    return f"{_MINUS if rounded < 0 else '+' if rounded > 0 else ''}{abs(rounded):.1f}"


def ranged(value: Interval | None, *, signed: bool = False) -> str:
    """An estimate with its interval in percent, or in points with signs; nothing for None.

    Of shares, an interval without width is not shown: it comes of a bootstrap where every label has all answers right
    or all wrong, and would feign certainty.
    """
    if value is None:
        return ""
    if not signed and value.low == value.high:
        return percent(value.estimate)
    if signed:
        return f"{points(value.estimate)} ({points(value.low)} to {points(value.high)})"
    return f"{percent(value.estimate)} ({percent(value.low)}{_TO}{percent(value.high)})"


def p_words(value: float | None) -> str:
    """A p-value with two digits; what is below a millionth is said to be so."""
    if value is None:
        return ""
    return "<0.000001" if value < 1e-6 else f"{value:.2g}" if value < 0.0995 else f"{value:.2f}"


def p_said(value: float) -> str:
    """A p-value in a sentence: ``p = 0.03``, ``p < 0.000001``."""
    text = p_words(value)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def duration(seconds: float) -> str:
    """A time as hours and minutes, minutes and seconds, or seconds."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{seconds:.1f} s"


def backbone_name(outcome: Outcome) -> str:
    """The model of a trial, and what it stands in for; a folder is told by its last part."""
    model = last_part(outcome.model)
    if outcome.stands_for is not None:
        return f"{model}, standing in for {outcome.stands_for}"
    return model


def model_label(outcome: Outcome) -> str:
    """The model of a trial in few words, for where several stand side by side."""
    short = outcome.model.rstrip("/").rpartition("/")[2]
    return short if outcome.stands_for is None else f"{short} for {outcome.stands_for}"


def summary(found: Outcomes) -> list[tuple[str, str]]:
    """What an experiment was run with, as names and values.

    A folder of data is told by its last part: where it lies on a machine is nobody's business.
    """
    data = last_part(str(found.data["location"]))
    revision, digest = found.data.get("revision"), found.data.get("manifest_sha256")
    if revision:
        data += f", revision {revision[:_DIGEST]}"
    if digest:
        data += f", manifest {digest[:_DIGEST]}"
    models = dict.fromkeys(backbone_name(one) for one in found.outcomes)
    said = [
        ("recipe", found.recipe),
        ("in the paper", f"table {found.table}" if found.table[:1].isdigit() else found.table),
        ("data", data),
        ("model" if len(models) == 1 else "models", "; ".join(models) or "none"),
        ("regime", found.regime),
        ("triplets", found.basis),
        ("device", found.device),
        ("versions", ", ".join(f"{name} {version}" for name, version in found.versions.items())),
    ]
    if found.seconds:
        said.append(("time", ", ".join(f"{name} {duration(value)}" for name, value in found.seconds.items())))
    return said


def last_part(name: str) -> str:
    """The last part of a folder's path; another name as it is."""
    return Path(name).name if Path(name).is_absolute() else name
