"""Raw roots: the official download of a source, read in place whatever it is packed in."""

from med_mat.raw.files import Copy, Lookup, RawFile, Skipped
from med_mat.raw.root import RawRoot, canonical_name

__all__ = ["Copy", "Lookup", "RawFile", "RawRoot", "Skipped", "canonical_name"]
