"""COVID-CT: slices cut from figures of papers, two class folders, splits listed in text files, patients in tables."""

from collections.abc import Iterator

from med_mat.raw import RawRoot
from med_mat.readers import csv_rows, official_split, sheet_rows, text_lines
from med_mat.sample import Sample


def samples(raw: RawRoot) -> Iterator[Sample]:
    images = raw.find("{CT_COVID,CT_NonCOVID}/*.{png,jpg}")
    split_of = {
        f"CT_{list_.parent.name}/{name}": official_split(list_.name.split("CT_")[0])
        for list_ in raw.glob("Data-split/{COVID,NonCOVID}/{train,val,test}CT_*.txt")
        for name in text_lines(raw, str(list_.key))
    }
    patient_of = {**covid_patients(raw), **other_patients(raw)}
    # Six pictures stand in no list.
    for key in dict.fromkeys([*split_of, *images]):
        image = images[key]
        # Panels of one figure share the name before '%'; it stands in where the tables lack a picture.
        figure = image.stem.split("%")[0]
        yield Sample(
            image,
            labels=[image.parent.name],
            split=split_of.get(key),
            group=patient_of.get(image.name, f"figure {figure}"),
        )


def covid_patients(raw: RawRoot) -> dict[str, str]:
    columns = ["file", "patient", "doi", "caption"]
    rows = sheet_rows(raw, "COVID-CT-MetaInfo.xlsx", columns=columns[:2], header=columns)
    # Some names lack their ending.
    return {row["file"].removesuffix(".png") + ".png": row["patient"] for row in rows}


def other_patients(raw: RawRoot) -> dict[str, str]:
    rows = csv_rows(raw, "NonCOVID-CT-MetaInfo.{csv,xlsx}", columns=["image name", "patient id"])
    return {row["image name"]: row["patient id"] for row in rows}
