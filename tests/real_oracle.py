"""What a correct index of a slice of an official download holds, told without the package.

One plain function per source, written from the descriptions of the releases and from their own label files. It knows
nothing of loaders, cards or raw roots, so that it can disagree with them.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".bmp", ".dcm"})

Labels = frozenset[str]


@dataclass
class Expected:
    """What stands in a folder and what its label files name beyond that.

    ``found`` maps the path of a picture, relative to the folder, to its raw labels and official split. ``missing``
    counts the pictures that a label file names and that are not there, by their set of raw labels: by set, since two
    raw labels of one picture may mean the same.
    """

    found: dict[str, tuple[Labels, str | None]] = field(default_factory=dict)
    missing: Counter[Labels] = field(default_factory=Counter)

    def add(self, path: str | None, labels: Iterable[str], split: str | None) -> None:
        """Notes a picture; ``path`` is None where a label file names one that is not there."""
        if path is None:
            self.missing[frozenset(labels)] += 1
        elif path in self.found:
            raise AssertionError(f"{path} stands twice in the release's own label files")
        else:
            self.found[path] = (frozenset(labels), split)


def _pictures(folder: Path) -> Iterator[PurePosixPath]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICTURES and path.is_file():
            yield PurePosixPath(path.relative_to(folder).as_posix())


def _by_name(folder: Path, within: str = "") -> dict[str, str]:
    """Picture name to path, for the pictures below a folder called ``within`` (all if it is empty)."""
    paths = [path for path in _pictures(folder) if not within or within in path.parts[:-1]]
    names = {path.name: str(path) for path in paths}
    assert len(names) == len(paths), f"a name stands twice below {folder}/{within}"
    return names


def _by_stem(folder: Path, within: str = "") -> dict[str, str]:
    return {name.rpartition(".")[0]: path for name, path in _by_name(folder, within).items()}


def _table(path: Path, *, delimiter: str = ",", encoding: str = "utf-8-sig") -> list[dict[str, str]]:
    with path.open(encoding=encoding, newline="") as lines:
        header, *rows = csv.reader(lines, delimiter=delimiter)
    return [dict(zip((name.strip("\xa0 ") for name in header), row, strict=True)) for row in rows]


def _only(folder: Path, name: str) -> Path:
    (path,) = folder.rglob(name)
    return path


def _folders(folder: Path, splits: dict[str, str | None] | None = None, level: int = 0) -> Expected:
    """Pictures labelled by their folder; the split, if any, is the name of the folder ``level`` above it."""
    expected = Expected()
    for path in _pictures(folder):
        split = splits[path.parts[-2 - level]] if splits else None
        expected.add(str(path), [path.parts[-2]], split)
    return expected


def _blood_cell_images(folder: Path) -> Expected:
    """Augmented cells by folder, and the original smears by table; an empty category means not labelled."""
    expected = Expected()
    splits = {"TRAIN": "train", "TEST": "test", "TEST_SIMPLE": "test"}
    for path in _pictures(folder):
        if path.parts[-3] in splits:
            expected.add(str(path), [path.parts[-2]], splits[path.parts[-3]])
    originals = _by_stem(folder, "JPEGImages")
    for row in _table(folder / "dataset-master/dataset-master/labels.csv"):
        labels = {name.strip() for name in row["Category"].split(",")} - {""}
        if labels:
            expected.add(originals.get(f"BloodImage_{int(row['Image']):05d}"), labels, None)
    return expected


def _bone_fracture_multi_region(folder: Path) -> Expected:
    return _folders(folder, {"train": "train", "val": "validation", "test": "test"}, level=1)


def _brain_tumor_mri(folder: Path) -> Expected:
    return _folders(folder, {"Training": "train", "Testing": "test"}, level=1)


def _busi(folder: Path) -> Expected:
    """Pictures are called ``<class> (N).png``; all else beside them is a mask."""
    expected = Expected()
    for path in _pictures(folder):
        if path.name.endswith(").png"):
            expected.add(str(path), [path.parts[-2]], None)
    return expected


def _cbis_ddsm(folder: Path) -> Expected:
    """A mammogram is malignant if one of its abnormalities is, else benign; one JPEG per series."""
    expected = Expected()
    pathologies: dict[tuple[str, str], set[str]] = {}
    for split in ("train", "test"):
        for kind in ("mass", "calc"):
            for row in _table(folder / f"csv/{kind}_case_description_{split}_set.csv"):
                series = row["image file path"].strip().split("/")[2]
                pathologies.setdefault((series, split), set()).add(row["pathology"])
    assert len({series for series, _ in pathologies}) == len(pathologies)
    for (series, split), found in pathologies.items():
        pictures = [path for path in _pictures(folder) if path.parts[-2] == series]
        path = str(pictures[0]) if pictures else None
        expected.add(path, {"MALIGNANT"} if "MALIGNANT" in found else found, split)
    return expected


def _chest_ct_scan(folder: Path) -> Expected:
    """Folders of train and valid carry a stage behind the histological type, those of test do not."""
    return _folders(folder, {"train": "train", "valid": "validation", "test": "test"}, level=1)


def _chestx_det(folder: Path) -> Expected:
    """One symptom per instance; an empty list is a film without any of the thirteen."""
    expected = Expected()
    for split in ("train", "test"):
        there = _by_name(folder, split)
        for record in json.loads((folder / f"ChestX_Det_{split}.json").read_text(encoding="utf-8")):
            expected.add(there.get(record["file_name"]), set(record["syms"]) or {"[]"}, split)
    return expected


def _coronahack_chest_xray(folder: Path) -> Expected:
    """The three label columns together; files that no row names are no samples."""
    expected = Expected()
    there = {"TRAIN": _by_name(folder, "train"), "TEST": _by_name(folder, "test")}
    for row in _table(folder / "Chest_xray_Corona_Metadata.csv"):
        label = " / ".join((row["Label"], row["Label_1_Virus_category"], row["Label_2_Virus_category"]))
        kind = row["Dataset_type"]
        expected.add(there[kind].get(row["X_ray_image_name"]), [label], kind.lower())
    return expected


def _covid_ct(folder: Path) -> Expected:
    """The folder is the label; the split is the list that names the picture, and a few stand in none."""
    listed: dict[tuple[str, str], str] = {}
    for part, split in (("train", "train"), ("val", "validation"), ("test", "test")):
        for kind in ("COVID", "NonCOVID"):
            names = (folder / f"Data-split/{kind}/{part}CT_{kind}.txt").read_text(encoding="utf-8").splitlines()
            listed |= {(f"CT_{kind}", name.strip()): split for name in names if name.strip()}
    expected = Expected()
    for path in _pictures(folder):
        expected.add(str(path), [path.parts[-2]], listed.pop((path.parts[-2], path.name), None))
    for kind, _ in listed:
        expected.add(None, [kind], None)
    return expected


def _covidx_cxr_4(folder: Path) -> Expected:
    """No header; patient, file, class, origin, with one blank between; ``val`` is absent from older versions."""
    expected = Expected()
    for part, split in (("train", "train"), ("val", "validation"), ("test", "test")):
        lines = folder / f"{part}.txt"
        if lines.is_file():
            there = _by_name(folder, part)
            for line in lines.read_text(encoding="utf-8").splitlines():
                _, name, label, _ = line.split(" ")
                expected.add(there.get(name), [label], split)
    return expected


def _fitzpatrick17k(folder: Path) -> Expected:
    """One of nine classes; rows that the experts called wrong, or something else, are no samples."""
    expected = Expected()
    there = _by_stem(folder)
    for row in _table(folder / "fitzpatrick17k.csv"):
        if row["qc"] not in ("3 Wrongly labelled", "4 Other"):
            path = there.get(row["md5hash"]) or there.get(row["url_alphanum"].removesuffix(".jpg"))
            expected.add(path, [row["nine_partition_label"]], None)
    return expected


def _head_ct(folder: Path) -> Expected:
    """Ids are not padded in the table, and are in the names; the header has a leading blank."""
    expected = Expected()
    there = _by_stem(folder)
    for row in _table(folder / "labels.csv"):
        expected.add(there.get(f"{int(row['id']):03d}"), [row["hemorrhage"].strip()], None)
    return expected


def _icpr_hep_2(folder: Path) -> Expected:
    """Layout of the 2012 contest: a cell, and beside it its mask."""
    expected = Expected()
    for part, split in (("training", "train"), ("test", "test")):
        table = folder / f"ICPR2012_Cells_Classification_Contest/{part}/gt_{part}.csv"
        if table.is_file():
            there = _by_stem(folder, part)
            for row in _table(table, delimiter=";"):
                expected.add(there.get(f"{int(row['ID']):03d}"), [row["pattern"]], split)
    return expected


# Anatomical headings say nothing until one of these stands behind them.
_STATES = (
    "hypoinflation",
    "hyperdistention",
    "degenerative",
    "tortuous",
    "elevated",
    "flattened",
    "blunted",
    "enlarged",
)


def _headings(mesh: str) -> Iterator[str]:
    for entry in mesh.split(";"):
        heading, *qualifiers = (part.strip() for part in entry.split("/"))
        states = [state for state in _STATES if state in qualifiers]
        yield from (f"{heading}/{state}" for state in states) if states else (heading,)


def _indiana_university_cxr(folder: Path) -> Expected:
    """Every picture of a report bears the report's headings, those of anatomy with what is said of it."""
    reports = {row["uid"]: row for row in _table(folder / "indiana_reports.csv")}
    expected = Expected()
    there = _by_name(folder)
    for row in _table(folder / "indiana_projections.csv"):
        report = reports[row["uid"]]
        problems = {problem.strip() for problem in report["Problems"].split(";")}
        assert {name.partition("/")[0] for name in _headings(report["MeSH"])} == problems
        expected.add(there.get(row["filename"]), set(_headings(report["MeSH"])), None)
    return expected


def _isbi_2016(folder: Path) -> Expected:
    """The official tables have no header; training has words, test has numbers."""
    expected = Expected()
    for part, split in (("Training", "train"), ("Test", "test")):
        table = folder / f"ISBI2016_ISIC_Part3_{part}_GroundTruth.csv"
        if table.is_file():
            there = _by_stem(folder, f"ISBI2016_ISIC_Part3_{part}_Data")
            with table.open(encoding="utf-8", newline="") as lines:
                for name, label in csv.reader(lines):
                    expected.add(there.get(name), [label], split)
    return expected


def _isic_2017_task_3(folder: Path) -> Expected:
    """Two columns that exclude each other; neither means nevus."""
    expected = Expected()
    for part, split in (("Training", "train"), ("Validation", "validation"), ("Test_v2", "test")):
        there = _by_stem(folder, f"ISIC-2017_{part}_Data")
        for row in _table(folder / f"ISIC-2017_{part}_Part3_GroundTruth.csv"):
            names = [name for name in ("melanoma", "seborrheic_keratosis") if float(row[name]) == 1]
            expected.add(there.get(row["image_id"]), names or ["nevus"], split)
    return expected


def _isic_2019(folder: Path) -> Expected:
    """One column per diagnosis; names in the table may end in ``_downsampled``, as the files do."""
    expected = Expected()
    there = _by_stem(folder, "ISIC_2019_Training_Input")
    for row in _table(folder / "ISIC_2019_Training_GroundTruth.csv"):
        name = row.pop("image")
        (label,) = (column for column, value in row.items() if float(value) == 1)
        expected.add(there.get(name), [label], "train")
    return expected


def _isic_2020(folder: Path) -> Expected:
    """Only the training part has labels."""
    expected = Expected()
    there = _by_stem(folder)
    for row in _table(folder / "ISIC_2020_Training_GroundTruth.csv"):
        assert (row["benign_malignant"] == "malignant") == (row["target"] == "1")
        expected.add(there.get(row["image_name"]), [row["benign_malignant"]], "train")
    return expected


def _nct_crc_he_100k(folder: Path) -> Expected:
    return _folders(folder, {"NCT-CRC-HE-100K": "train", "CRC-VAL-HE-7K": "test"}, level=1)


def _nih_chest_xray_sample(folder: Path) -> Expected:
    expected = Expected()
    there = _by_name(folder)
    for row in _table(_only(folder, "sample_labels.csv")):
        expected.add(there.get(row["Image Index"]), row["Finding Labels"].split("|"), None)
    return expected


def _pad_ufes_20(folder: Path) -> Expected:
    expected = Expected()
    there = _by_name(folder)
    for row in _table(folder / "metadata.csv"):
        expected.add(there.get(row["img_id"]), [row["diagnostic"]], None)
    return expected


def _pediatric_pneumonia(folder: Path) -> Expected:
    return _folders(folder, {"train": "train", "test": "test"}, level=1)


def _rfmid_2(folder: Path) -> Expected:
    """Numbers are unique within a set only; the tables are not UTF-8 and end in a column without a name."""
    expected = Expected()
    for part, name, split in (
        ("Training", "Training", "train"),
        ("Validation", "Validation", "validation"),
        ("Test", "Testing", "test"),
    ):
        there = _by_stem(folder, f"{part}_set")
        for row in _table(folder / f"{part}_set/RFMiD_2_{name}_labels.csv", encoding="cp1252"):
            labels = [label for label, value in row.items() if label not in ("ID", "") and value == "1"]
            expected.add(there.get(row["ID"]), labels, split)
    return expected


def _rsna_pneumonia_2018(folder: Path) -> Expected:
    """One row per box: a picture stands in as many rows, always with one class."""
    rows = _table(folder / "stage_2_detailed_class_info.csv")
    classes = {row["patientId"]: row["class"] for row in rows}
    assert len({(row["patientId"], row["class"]) for row in rows}) == len(classes)
    expected = Expected()
    there = _by_stem(folder, "stage_2_train_images")
    for name, label in classes.items():
        expected.add(there.get(name), [label], "train")
    return expected


ORACLE: dict[str, Callable[[Path], Expected]] = {
    "blood_cell_images": _blood_cell_images,
    "bone_fracture_multi_region": _bone_fracture_multi_region,
    "brain_tumor_mri": _brain_tumor_mri,
    "busi": _busi,
    "cbis_ddsm": _cbis_ddsm,
    "chest_ct_scan": _chest_ct_scan,
    "chest_xray_pd": _folders,
    "chestx_det": _chestx_det,
    "coronahack_chest_xray": _coronahack_chest_xray,
    "covid19_ct_scan_images": _folders,
    "covid_ct": _covid_ct,
    "covidx_cxr_4": _covidx_cxr_4,
    "ct_kidney": _folders,
    "fitzpatrick17k": _fitzpatrick17k,
    "head_ct": _head_ct,
    "icpr_hep_2": _icpr_hep_2,
    "indiana_university_cxr": _indiana_university_cxr,
    "isbi_2016": _isbi_2016,
    "isic_2017_task_3": _isic_2017_task_3,
    "isic_2019": _isic_2019,
    "isic_2020": _isic_2020,
    "nct_crc_he_100k": _nct_crc_he_100k,
    "nih_chest_xray_sample": _nih_chest_xray_sample,
    "pad_ufes_20": _pad_ufes_20,
    "pediatric_pneumonia": _pediatric_pneumonia,
    "rfmid_2": _rfmid_2,
    "rsna_pneumonia_2018": _rsna_pneumonia_2018,
    "sars_cov_2_ct_scan": _folders,
    "tuberculosis_chest_xray": _folders,
}

TRUNCATED: dict[str, set[str]] = {
    "bone_fracture_multi_region": {
        "Bone_Fracture_Binary_Classification/Bone_Fracture_Binary_Classification/train/not fractured/IMG0004134.jpg"
    },
}
"""Pictures that end early in the release itself; all others of the slices decode."""
