"""Errors that people read: each names the file or card, what was expected, what was found and what to do."""


def visible(text: str, *, lines: bool = True) -> str:
    r"""Text from a file or a file name in a form that a terminal shows and does not obey.

    Args:
        text: Any text.
        lines: Keep line breaks.

    Returns:
        The text with control characters, and others that are not shown, as escapes (``\x1b``).
    """
    return "".join(
        char if char.isprintable() or (lines and char == "\n") else char.encode("unicode_escape").decode()
        for char in text
    )


class MedMatError(Exception):
    """Base of every error that this package raises on purpose."""


class LayoutError(MedMatError):
    """A raw root does not look like the official download that a loader reads."""


class CardError(MedMatError):
    """A card's front matter is incomplete or contradicts itself."""


class ImageError(MedMatError):
    """A file does not decode, or holds no picture that may be published."""


class DependencyError(MedMatError):
    """A library that only some formats need is not installed.

    It says nothing of the file, so work stops rather than list the file as unreadable.
    """


class RawChangedError(MedMatError):
    """A raw file differs from what the scan saw."""


class WorkerError(MedMatError):
    """A process that did part of the work is gone."""
