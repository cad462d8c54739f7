"""The demo: raw trees of drawn phantoms in official layouts, built, loaded and shown. Needs no download."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from med_mat.hashing import rank
from med_mat.registry import Registry
from med_mat.trees import Content, Picture, Sheet, write_tree

if TYPE_CHECKING:
    from rich.console import Console

PER_LABEL = 40

Tree = dict[str, Content]


def ct_kidney() -> Tree:
    """A class folder per finding, below a doubled wrapper."""
    wrapper = "CT-KIDNEY-DATASET-Normal-Cyst-Tumor-Stone"
    return {
        f"{wrapper}/{wrapper}/{label}/{label}- ({number}).jpg": Picture((label,), mode="RGB")
        for label in ("Cyst", "Normal", "Stone", "Tumor")
        for number in range(1, PER_LABEL + 1)
    }


def brain_tumor_mri() -> Tree:
    """A folder per official split and class."""
    return {
        f"{split}/{label}/{prefix}-{label[:2]}_{number:04d}.jpg": Picture((label,))
        for split, prefix, share in (("Training", "Tr", PER_LABEL), ("Testing", "Te", PER_LABEL // 4))
        for label in ("glioma", "meningioma", "notumor", "pituitary")
        for number in range(10, 10 + share)
    }


def nih_chest_xray_sample() -> Tree:
    """A table with several findings per picture, and several pictures per patient."""
    header = [
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImageWidth,OriginalImageHeight,OriginalImagePixelSpacing_x,OriginalImagePixelSpacing_y"
    ]
    findings = ["Atelectasis", "Cardiomegaly", "Effusion", "Mass", "Nodule", "Pneumothorax", "Edema", "Emphysema"]
    tree: Tree = {}
    for number in range(4 * PER_LABEL):
        patient, visit = divmod(number, 2)
        name = f"{patient + 1:08d}_{visit:03d}.png"
        order = sorted(findings, key=lambda finding: rank("demo", name, finding))
        labels = sorted(order[: number % 3]) or ["No Finding"]
        age, sex, view = 30 + rank("age", str(patient)) % 50, "MF"[patient % 2], ("PA", "AP")[number % 2]
        tree[f"sample/images/{name}"] = Picture(tuple(labels), size=(128, 128))
        header.append(f"{name},{'|'.join(labels)},{visit},{patient + 1},{age:03d}Y,{sex},{view},2500,2048,0.168,0.168")
    tree["sample/sample_labels.csv"] = "\n".join(header) + "\n"
    return tree


def covid_ct() -> Tree:
    """Two class folders; splits in text files, patients in an Excel sheet and a table."""
    tree: Tree = {}
    lists: dict[str, list[str]] = {}
    patients: list[list[object]] = []
    others = [",image name,patient id"]
    for number in range(2 * PER_LABEL):
        split = ("train", "train", "train", "val", "test")[number // 2 % 5]
        if number % 2:
            name, label = f"2020.03.{number:02d}.20030000-p1-{number}.png", "CT_COVID"
            patients.append([name, f"Patient {number}", None, "phantom"])
        else:
            name, label = f"{number}.jpg", "CT_NonCOVID"
            others.append(f"{number // 2},{name},medpix_patient_{number}")
        tree[f"Images-processed/{label}/{name}"] = Picture((label,))
        folder = label.removeprefix("CT_")
        lists.setdefault(f"Data-split/{folder}/{split}CT_{folder}.txt", []).append(name)
    tree |= {name: "\n".join(names) for name, names in lists.items()}
    tree["COVID-CT-MetaInfo.xlsx"] = Sheet(patients)
    tree["NonCOVID-CT-MetaInfo.csv"] = "\n".join(others) + "\n"
    return tree


def nct_crc_he_100k() -> Tree:
    """Tiles whose label stands in folder and file name, as TIFF."""
    labels = ("ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM")
    parts = (("NCT-CRC-HE-100K", "", PER_LABEL // 2), ("CRC-VAL-HE-7K", "TCGA-", PER_LABEL // 8))
    return {
        f"{folder}/{label}/{label}-{prefix}{_letters(folder, label, number)}.tif": Picture((label,), mode="RGB")
        for folder, prefix, share in parts
        for label in labels
        for number in range(share)
    }


def _letters(*parts: object) -> str:
    number = rank("demo", *map(str, parts))
    return "".join(chr(ord("A") + number // 26**place % 26) for place in range(8))


TREES: dict[str, Callable[[], Tree]] = {
    "ct_kidney": ct_kidney,
    "brain_tumor_mri": brain_tumor_mri,
    "nih_chest_xray_sample": nih_chest_xray_sample,
    "covid_ct": covid_ct,
    "nct_crc_he_100k": nct_crc_he_100k,
}
"""Slug to the function that lays out its official download."""


def write_raw_trees(registry: Registry, folder: Path) -> Iterator[tuple[str, int]]:
    """Writes the demo's raw roots, one folder per slug.

    Yields:
        Slug and number of files, one by one as they are written.
    """
    for slug, layout in TREES.items():
        tree = layout()
        write_tree(tree, folder / slug, registry[slug].card)
        yield slug, len(tree)


def run_demo(raw: Path, out: Path, sheet: Path, workers: int, console: Console) -> None:
    """Writes raw trees, builds them, loads the build as a user would and draws a contact sheet.

    Args:
        raw: Folder for the raw trees.
        out: Folder to build.
        sheet: Contact sheet to write.
        workers: Number of processes.
        console: Where to print.
    """
    from datasets import disable_progress_bars, load_dataset

    from med_mat.build import build
    from med_mat.preview import preview_rows
    from med_mat.registry import registry
    from med_mat.terminal import BuildProgress, build_report, row_page

    sources = registry()
    console.rule("1. Raw trees in official layouts, pictures drawn")
    for slug, files in write_raw_trees(sources, raw):
        console.print(f"{raw / slug}: {files} files. {layout_of(slug)}.", soft_wrap=True)
    console.rule(f"2. med-mat build --raw {raw} --out {out}")
    with BuildProgress(console) as progress:
        result = build(sources, raw, out, slugs=list(TREES), workers=workers, progress=progress)
    console.print(build_report(result))
    console.rule("3. load_dataset")
    disable_progress_bars()
    shown = []
    for name in ("ct_kidney", "subset_22", "modality_xray"):
        rows = load_dataset(str(out), name)
        sizes = ", ".join(f"{split} {part.num_rows}" for split, part in rows.items())
        console.print(f'load_dataset("{out}", "{name}"): {sizes}')
        shown += list(rows["test"].select(range(6)))
        console.print(row_page(rows["test"][0]))
    preview_rows(shown, title="Rows of the demo: drawn phantoms, not patients").save(sheet)
    console.print(f"Contact sheet: {sheet}")


def layout_of(slug: str) -> str:
    """Returns the first line of what a demo tree is."""
    return (TREES[slug].__doc__ or "").splitlines()[0].rstrip(".")
