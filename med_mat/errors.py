"""Errors that people read: each names the file or card, what was expected, what was found and what to do."""


class MedMatError(Exception):
    """Base of every error that this package raises on purpose."""


class LayoutError(MedMatError):
    """A raw root does not look like the official download that a loader reads."""


class CardError(MedMatError):
    """A card's front matter is incomplete or contradicts itself."""


class ImageError(MedMatError):
    """A file does not decode, or holds no picture that may be published."""


class RawChangedError(MedMatError):
    """A raw file differs from what the scan saw."""


class WorkerError(MedMatError):
    """A process that did part of the work is gone."""
