"""Patterns that match the tail of a path, compiled to one regular expression."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence

_MAX_ALTERNATIVES = 10_000


def compile_patterns(patterns: Sequence[str]) -> re.Pattern[str]:
    r"""Compile patterns into one expression for ``fullmatch`` over whole paths in Unicode NFC.

    Group 1 of a match is the tail. Several patterns are alternatives, as if joined by ``{a,b}``; where more
    than one tail fits, the one with the fewest segments is taken. Letter case is ignored.

    Args:
        patterns: Segments separated by ``/``. ``*``, ``?``, ``[ab]``, ``[a-f]`` and ``[!ab]`` match within a
            segment; ``**`` is a segment of its own and stands for any number of segments (at least one at the
            end of a pattern, so that ``masks/**`` means everything below ``masks``); ``{a,b}`` lists
            alternatives, which may hold slashes, wildcards and further braces. ``[{]`` and ``[*]`` match the
            character itself.

    Raises:
        ValueError: No pattern; one that is empty, absolute, ends in a slash, starts with ``**`` (its tail
            would be ambiguous), uses ``**`` inside a segment, holds ``.`` or ``..``, or whose braces do not
            pair.
    """
    if not patterns:
        raise ValueError("a pattern is needed")
    plain = [alternative for pattern in patterns for alternative in expand_braces(pattern)]
    tails = "|".join(dict.fromkeys(_tail(pattern) for pattern in plain))
    return re.compile(rf"(?:.*/)?({tails})", re.IGNORECASE | re.DOTALL)


def expand_braces(pattern: str) -> list[str]:
    """All patterns without braces that a pattern stands for, in order.

    Raises:
        ValueError: Braces do not pair, or stand for more than ten thousand patterns.
    """
    opening = None
    for index, char in _outside_classes(pattern, 0):
        if char == "}":
            raise ValueError(f"pattern {pattern!r}: '}}' without '{{' (write '[}}]' for the character itself)")
        if char == "{":
            opening = index
            break
    if opening is None:
        return [pattern]
    depth = 0
    cuts = [opening]
    for index, char in _outside_classes(pattern, opening):
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                cuts.append(index)
                break
        elif char == "," and depth == 1:
            cuts.append(index)
    if depth:
        raise ValueError(f"pattern {pattern!r}: '{{' without '}}' (write '[{{]' for the character itself)")
    head, rest = pattern[:opening], pattern[cuts[-1] + 1 :]
    choices = [pattern[start + 1 : end] for start, end in itertools.pairwise(cuts)]
    found: list[str] = []
    for choice in choices:
        found += expand_braces(head + choice + rest)
        if len(found) > _MAX_ALTERNATIVES:
            raise ValueError(f"pattern {pattern!r}: its braces stand for more than {_MAX_ALTERNATIVES:,} patterns")
    return found


def _outside_classes(pattern: str, start: int) -> Iterator[tuple[int, str]]:
    index = start
    while index < len(pattern):
        end = _class_end(pattern, index)
        if end:
            index = end
            continue
        yield index, pattern[index]
        index += 1


def _class_end(pattern: str, start: int) -> int:
    """Index after the ``]`` of the class that opens at ``start``; 0 if none does."""
    if pattern[start] != "[":
        return 0
    body = start + 1
    if pattern.startswith("!", body):
        body += 1
    # As in a shell, a bracket that stands first in a class is an ordinary character.
    end = pattern.find("]", body + 1)
    return end + 1 if end > 0 and "/" not in pattern[start:end] else 0


def _tail(pattern: str) -> str:
    pattern = unicodedata.normalize("NFC", pattern)
    segments = pattern.split("/")
    if segments[0] == "**":
        raise ValueError(f"pattern {pattern!r}: '**' at the start would make the matched tail ambiguous; leave it out")
    if not all(segments) or not {".", ".."}.isdisjoint(segments):
        raise ValueError(f"pattern {pattern!r}: empty, '.' and '..' segments match nothing")
    expression = _segment(segments[0], pattern)
    for before, segment in itertools.pairwise(segments):
        if segment != "**":
            expression += "/" * (before != "**") + _segment(segment, pattern)
        elif before != "**":
            expression += "/(?:.*/)?"
    return expression + ".+" * (segments[-1] == "**")


def _segment(segment: str, pattern: str) -> str:
    if "**" in segment:
        raise ValueError(f"pattern {pattern!r}: '**' must be a segment of its own")
    expression = ""
    index = 0
    while index < len(segment):
        char = segment[index]
        end = _class_end(segment, index)
        if end:
            expression += _class(segment[index + 1 : end - 1], pattern)
            index = end
            continue
        expression += {"*": "[^/]*", "?": "[^/]"}.get(char) or re.escape(char)
        index += 1
    return expression


def _class(body: str, pattern: str) -> str:
    negated = body.startswith("!")
    body = body[negated:]
    items = ""
    index = 0
    while index < len(body):
        if body[index + 1 : index + 2] == "-" and index + 2 < len(body):
            low, high = body[index], body[index + 2]
            if low > high:
                raise ValueError(f"pattern {pattern!r}: range {low}-{high} runs backwards")
            items += f"{re.escape(low)}-{re.escape(high)}"
            index += 3
        else:
            items += re.escape(body[index])
            index += 1
    # A range such as [+-9] or a negated class would otherwise cross into the next segment.
    return f"(?!/)[{'^' * negated}{items}]"
