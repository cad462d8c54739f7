"""Chest X-rays (Indiana University): films of a study share the headings of its report, frontal and lateral."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows
from med_mat.sample import Sample

# A heading such as "Lung" or "Aorta" is a finding only together with one of these qualifiers.
STATES = {
    "blunted",
    "degenerative",
    "elevated",
    "enlarged",
    "flattened",
    "hyperdistention",
    "hypoinflation",
    "tortuous",
}


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("[0-9]*_IM-*.png")
    reports = csv_rows(raw, "indiana_reports.csv", columns=["uid", "MeSH"])
    findings_of = {report["uid"]: findings(report["MeSH"]) for report in reports}
    for row in csv_rows(raw, "indiana_projections.csv", columns=["uid", "filename", "projection"]):
        yield Sample(
            images[row["filename"]],
            labels=findings_of[row["uid"]],
            group=row["uid"],
            extra={"view": row["projection"]},
        )


def findings(headings: str) -> list[str]:
    """``Lung/base/hypoinflation/mild;Opacity/lung`` gives ``Lung/hypoinflation`` and ``Opacity``."""
    found: dict[str, None] = {}
    for entry in headings.split(";"):
        heading, *qualifiers = (part.strip() for part in entry.split("/"))
        states = sorted(STATES.intersection(qualifiers))
        found.update(dict.fromkeys([f"{heading}/{state}" for state in states] or [heading]))
    return list(found)
