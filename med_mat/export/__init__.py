"""Rows in the formats of other training tools, and upstream's question files as rows."""

from __future__ import annotations

from med_mat.export.imported import Imported, import_upstream
from med_mat.export.writing import FORMATS, Boxes, Exported, Format, export_rows

__all__ = ["FORMATS", "Boxes", "Exported", "Format", "Imported", "export_rows", "import_upstream"]
