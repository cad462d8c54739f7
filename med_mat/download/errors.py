"""What can go wrong with a download, by what a person must do about it."""

from med_mat.errors import MedMatError


class DownloadError(MedMatError):
    """A file could not be fetched, or is not what it should be."""


class TermsError(DownloadError):
    """The terms of a source have not been accepted."""


class AccessError(DownloadError):
    """The owner asks for credentials, or refuses those that were given."""


class GoneError(DownloadError):
    """Nothing is at the address any more."""


class ChecksumError(DownloadError):
    """A file has other bytes than its owner, or an earlier download, says."""


class SpaceError(DownloadError):
    """The disk has no room for a file."""


class UnpackError(DownloadError):
    """An archive that must be unpacked cannot be unpacked here; a person can."""


class StoppedError(DownloadError):
    """A download was stopped; what came stays."""


class RefusedError(DownloadError):
    """An archive is broken, or would write where it must not, or without bound."""
