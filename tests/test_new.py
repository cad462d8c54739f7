"""``med-mat new``: what it makes passes ``med-mat check`` but for what only a person can tell."""

from __future__ import annotations

import re
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny import LABELS, add_source, label_entries, make_card, noise_bytes, registry_of
from typer.testing import CliRunner

from med_mat.card import read_card
from med_mat.cli import app
from med_mat.contribute.check import Download, check_source
from med_mat.contribute.paper import BLANK
from med_mat.contribute.scaffold import Answers, scaffold, target, write
from med_mat.contribute.survey import imagined
from med_mat.contribute.verdict import Verdict
from med_mat.errors import LayoutError, MedMatError
from med_mat.fixtures import read_fixture
from med_mat.raw.patterns import compile_patterns

WORDS = ["--modality", "dp", "--anatomy", "skin"]
TASKS = {
    "classification": "disease classification",
    "multilabel": "finding classification",
    "detection": "finding detection",
    "segmentation": "lesion segmentation",
}


class _Silent:
    def start(self, stage: str, total: int) -> None: ...

    def advance(self, number: int) -> None: ...


def new(slug: str, *arguments: object, answers: str = "") -> str:
    """Runs the command; an error made for people is raised."""
    done = CliRunner().invoke(app, ["new", slug, *map(str, arguments)], input=answers)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def begin(folder: Path, kind: str, *arguments: object) -> None:
    new("eyes", "--into", folder, "--kind", kind, "--task", TASKS[kind], *WORDS, *arguments, "--no-ask")


def check(folder: Path, scratch: Path, raw: Path | None = None) -> Verdict:
    sources = registry_of(folder)
    scratch.mkdir()
    download = None if raw is None else Download(str(raw), False, 1, None, _Silent())
    return check_source(sources["eyes"], lambda: sources, scratch, download)


def errors(verdict: Verdict) -> list[str]:
    found = [finding for part in verdict.parts for finding in part.findings if finding.level == "error"]
    return [f"{finding.where}: {finding.message}" for finding in found if "to be filled in" not in finding.message]


def fill_in(folder: Path) -> None:
    """Does what a person does with each mark: writes something, or takes the comment away."""
    for path in folder.glob("eyes.*"):
        text = path.read_text(encoding="utf-8")
        text = re.sub(rf"^ *# {BLANK}.*\n", "", text, flags=re.MULTILINE)
        text = re.sub(rf" *# {BLANK}.*", "", text)
        text = re.sub(rf'"{BLANK}: address[^"]*"', "https://example.org/eyes", text)
        path.write_text(text.replace(f"{BLANK}:", "As the owner says,").replace(BLANK, "stage"), encoding="utf-8")


def picture(root: Path, name: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(noise_bytes(name, name, (24, 20), "RGB"))


def folders(root: Path) -> None:
    for split in ("Train", "Test"):
        for label in ("Dendritic_ulcer", "Fungal (a, b) {x} [y]", "Normal", "7"):
            for number in range(3):
                picture(root, f"Eyes v2/all eyes/{split}/{label}/P{number} {split[0]}{label[:2]}.jpg")


def patients(root: Path) -> None:
    for label in ("keratitis", "normal"):
        for patient in range(60):
            picture(root, f"{label}/{label[0]}{patient}/left.png")


def table(root: Path) -> None:
    lines = ["image_id;age;dx"]
    for number in range(8):
        picture(root, f"part/ISIC_{number:04d}.jpg")
        lines.append(f"ISIC_{number:04d};{40 + number};{('nevus', 'mel')[number % 2]}")
    (root / "meta data.csv").write_text("\n".join(lines), encoding="utf-8")


def latin_table(root: Path) -> None:
    rows = [("a.png", "Übergang"), ("b.png", "normal"), ("c.png", "normal")]
    for name, _ in rows:
        picture(root, f"x/{name}")
    text = "path,finding\n" + "".join(f"x/{name},{label}\n" for name, label in rows)
    (root / "labels.csv").write_bytes(text.encode("latin-1"))


def several(root: Path) -> None:
    lines = ["name,labels"]
    for number, labels in enumerate(("edema|mass", "edema", "mass|nodule", "nodule", "edema|nodule")):
        picture(root, f"pictures/{number}.png")
        lines.append(f"{number}.png,{labels}")
    (root / "all.csv").write_text("\n".join(lines), encoding="utf-8")


def wrists(root: Path) -> None:
    """The download of the guide."""
    lines = ["filestem;patient_id;age;fracture_visible;set"]
    labels = ("no fracture", "distal radius", "Ulna styloid", "growth plate")
    root.mkdir(exist_ok=True)
    with zipfile.ZipFile(root / "WristXR-v1.zip", "w") as archive:
        for number in range(60):
            name, patient = f"{number:04d}_WRI-{'LR'[number % 2]}", number // 3
            data = noise_bytes(name, "x.png")
            archive.writestr(f"WristXR-v1/images_part{1 + number // 30}/{name}.png", data)
            if number % 6 == 0:
                archive.writestr(f"WristXR-v1/heatmaps/{name}_heat.png", data[:40])
            side = "train" if patient < 15 else "test"
            lines.append(f"{name};{patient:04d};{number % 18};{labels[number % 4]};{side}")
        archive.writestr("WristXR-v1/dataset.csv", "\ufeff" + "\r\n".join(lines))
        archive.writestr("__MACOSX/WristXR-v1/._dataset.csv", b"x")


def masks(root: Path) -> None:
    from PIL import Image

    for number in range(4):
        picture(root, f"set/images/{number}.jpg")
        mask = Image.new("L", (24, 20))
        mask.paste(255, (4, 4, 12 + number, 12))
        path = root / f"set/masks/{number}_segmentation.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        mask.save(path)


def boxes(root: Path) -> None:
    lines = ["file,label,xmin,ymin,xmax,ymax"]
    for number in range(6):
        picture(root, f"images/{number}.png")
        lines.append(f"{number}.png,{('cyst', 'stone')[number % 2]},2,3,14,{9 + number}")
    (root / "boxes.csv").write_text("\n".join(lines), encoding="utf-8")


DOWNLOADS: list[tuple[str, str, Callable[[Path], None]]] = [
    ("classification", "folders", folders),
    ("classification", "folders", patients),
    ("classification", "table", table),
    ("classification", "table", latin_table),
    ("classification", "table", wrists),
    ("multilabel", "table", several),
    ("segmentation", "masks", masks),
    ("detection", "boxes", boxes),
]


@pytest.mark.parametrize(("kind", "labels_from", "draw"), DOWNLOADS, ids=[draw.__name__ for _, _, draw in DOWNLOADS])
def test_a_download_becomes_a_source_that_lacks_only_what_a_person_knows(
    kind: str, labels_from: str, draw: Callable[[Path], None], tmp_path: Path
) -> None:
    draw(tmp_path / "raw")
    begin(tmp_path / "mine", kind, "--labels-from", labels_from, "--raw", tmp_path / "raw")
    assert BLANK in (tmp_path / "mine" / "eyes.md").read_text(encoding="utf-8")
    assert errors(check(tmp_path / "mine", tmp_path / "first", tmp_path / "raw")) == []
    fill_in(tmp_path / "mine")
    verdict = check(tmp_path / "mine", tmp_path / "second", tmp_path / "raw")
    assert (verdict.exit_code, verdict.count("error")) == (0, 0)
    assert [part.name for part in verdict.parts if part.skipped] == []


@pytest.mark.parametrize("kind", list(TASKS))
def test_without_a_download_the_labels_are_enough(kind: str, tmp_path: Path) -> None:
    labels = [argument for name in ("Cyst", "Stone", "Tumour") for argument in ("--label", name)]
    way = ["--labels-from", "table"] if kind == "classification" else []
    begin(tmp_path / "mine", kind, *labels, *way)
    assert errors(check(tmp_path / "mine", tmp_path / "scratch")) == []


def test_counts_wrapper_splits_and_table_are_those_of_the_download(tmp_path: Path) -> None:
    folders(tmp_path / "raw")
    begin(tmp_path / "mine", "classification", "--labels-from", "folders", "--raw", tmp_path / "raw")
    card = read_card(tmp_path / "mine" / "eyes.md")
    assert {raw: entry.count for raw, entry in card.labels.items()} == {
        "7": 6,
        "Dendritic_ulcer": 6,
        "Fungal (a, b) {x} [y]": 6,
        "Normal": 6,
    }
    assert card.labels["Dendritic_ulcer"].label == "dendritic ulcer"
    assert card.labels["Normal"].no_finding
    assert card.official_splits == "kept"
    fixture = read_fixture(tmp_path / "mine" / "eyes.yaml")
    assert fixture.wrapper == "Eyes v2/all eyes"
    assert {sample.split for sample in fixture.samples} == {"train", "test"}


def test_other_columns_of_a_table_stay_out_of_the_fixture(tmp_path: Path) -> None:
    table(tmp_path / "raw")
    begin(tmp_path / "mine", "classification", "--labels-from", "table", "--raw", tmp_path / "raw")
    text = (tmp_path / "mine" / "eyes.yaml").read_text(encoding="utf-8")
    assert "image_id;dx" in text
    assert "image_id;age" not in text


def test_patients_splits_and_pictures_that_are_no_samples_are_taken_from_the_download(tmp_path: Path) -> None:
    wrists(tmp_path)
    raw = tmp_path / "WristXR-v1.zip"
    begin(tmp_path / "mine", "classification", "--labels-from", "table", "--raw", raw)
    card = read_card(tmp_path / "mine" / "eyes.md")
    assert card.groups is not None
    assert card.groups.how == "column patient_id of dataset.csv"
    assert card.official_splits == "kept"
    assert [entry.paths for entry in card.unread] == [["heatmaps/*"]]
    assert {sample.group for sample in read_fixture(tmp_path / "mine" / "eyes.yaml").samples} >= {"eyes:0000"}


def test_another_column_can_hold_the_labels(tmp_path: Path) -> None:
    table(tmp_path / "raw")
    raw = ["--labels-from", "table", "--raw", tmp_path / "raw", "--label-column"]
    begin(tmp_path / "mine", "classification", *raw, "age")
    assert set(read_card(tmp_path / "mine" / "eyes.md").labels) == {str(age) for age in range(40, 48)}
    with pytest.raises(LayoutError, match="no column 'dxx'; its columns: image_id, age, dx"):
        begin(tmp_path / "other", "classification", *raw, "dxx")


def test_the_guide_shows_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guide = (Path(__file__).parent.parent / "docs" / "adding-a-source.md").read_text(encoding="utf-8")
    wrists(tmp_path)
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "LEDGER").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    command = re.search(r"^med-mat new (wrist_xr .*)$", guide, re.MULTILINE)
    assert command is not None
    answers = ["WristXR", "classification", "xray", "bones", "fracture classification", "table", "", "", "", "", ""]
    output = new(*command[1].split(), answers="\n".join(answers))
    shown = re.search(r"```\n(Labels: .*?)```", guide, re.DOTALL)
    loader = re.search(r"```py\n(.*?)```", guide, re.DOTALL)
    assert shown is not None
    assert loader is not None
    assert shown[1] in output
    assert (tmp_path / "loaders" / "wrist_xr.py").read_text(encoding="utf-8") == loader[1]


def test_the_guide_names_every_part_of_a_check(tmp_path: Path) -> None:
    guide = (Path(__file__).parent.parent / "docs" / "adding-a-source.md").read_text(encoding="utf-8")
    table = guide.partition("| part | what it asks |\n| --- | --- |\n")[2].partition("\n\n")[0]
    begin(tmp_path / "mine", "classification", "--labels-from", "folders", "--label", "a", "--label", "b")
    parts = [part.name for part in check(tmp_path / "mine", tmp_path / "scratch").parts]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == parts


def test_an_address_tells_place_and_access(tmp_path: Path) -> None:
    begin(tmp_path, "classification", "--labels-from", "folders", "--label", "a", "--label", "b", "--homepage",
          "https://www.kaggle.com/datasets/owner/some-eyes")  # fmt: skip
    card = read_card(tmp_path / "eyes.md")
    assert [(place.platform, place.id) for place in card.download.places] == [("kaggle", "owner/some-eyes")]
    assert card.access == "login"


def test_what_no_option_gives_is_asked_and_asked_again(tmp_path: Path) -> None:
    answers = ["Eyes of cats", "classification", "dp", "skinn", "skin", "disease classification", "folders"]
    answers += ["Ulcer, Normal", "corneal ulcer", "normal cornea"]
    told = new("eyes", "--into", tmp_path, answers="\n".join([*answers, ""]))
    assert "'skinn' is none of these" in told
    card = read_card(tmp_path / "eyes.md")
    assert (card.title, card.anatomy, card.clean_labels) == (
        "Eyes of cats",
        "skin",
        ("corneal ulcer", "normal cornea"),
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--kind", "classfication"], "did you mean classification"),
        (["--kind", "segmentation", "--labels-from", "folders"], "allowed: masks"),
        (["--kind", "classification"], "--labels-from is needed with --no-ask"),
        (["--kind", "classification", "--labels-from", "folders"], "--label is needed with --no-ask"),
    ],
)
def test_what_does_not_fit_is_told(arguments: list[str], told: str, tmp_path: Path) -> None:
    task = TASKS["segmentation" if "segmentation" in arguments else "classification"]
    with pytest.raises(MedMatError, match=told):
        new("eyes", "--into", tmp_path, *arguments, *WORDS, "--task", task, "--no-ask")
    assert not list(tmp_path.iterdir())


def test_a_slug_is_a_slug(tmp_path: Path) -> None:
    with pytest.raises(MedMatError, match="ct_kidney"):
        new("Eyes-2", "--into", tmp_path)


def test_a_slug_is_of_one_source(tmp_path: Path) -> None:
    with pytest.raises(MedMatError, match="is a source already"):
        new("ct_kidney", "--into", tmp_path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "eyes.md").write_text("mine", encoding="utf-8")
    with pytest.raises(MedMatError, match="there already"):
        new("eyes", "--into", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["eyes.md"]


def test_a_checkout_has_folders_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(MedMatError, match="--into"):
        target("eyes", None, tmp_path)
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "LEDGER").write_text("first\nsecond", encoding="utf-8")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    to = target("eyes", None, tmp_path / "deep" / "er")
    assert [path.relative_to(tmp_path).as_posix() for path in to.files] == [
        "loaders/eyes.py",
        "cards/eyes.md",
        "tests/sources/eyes.yaml",
    ]
    answers = Answers("eyes", "Eyes", "classification", "dp", "skin", TASKS["classification"], None, None, {})
    layout = imagined("folders", ["a", "b"], several=False)
    write(scaffold(answers, layout, []), to)
    assert to.ledger.read_text(encoding="utf-8") == "first\nsecond\neyes\n"
    for path in to.files:
        path.unlink()
    write(scaffold(answers, layout, []), to)
    assert to.ledger.read_text(encoding="utf-8").split() == ["first", "second", "eyes"]


def test_a_new_ledger_admits_first_who_was_first(tmp_path: Path) -> None:
    add_source(tmp_path, "tiny")
    (tmp_path / "LEDGER").unlink()
    begin(tmp_path, "classification", "--labels-from", "folders", "--label", "a", "--label", "b")
    assert (tmp_path / "LEDGER").read_text(encoding="utf-8").split() == ["tiny", "eyes"]


def test_labels_are_spelt_as_in_sources_of_the_same_kind_and_place(tmp_path: Path) -> None:
    layout = imagined("folders", ["STONE", "Tumor", "Abscess_type 2"], several=False)
    answers = Answers("eyes", "Eyes", "classification", "ct", "kidney", TASKS["classification"], None, None, {})
    other = make_card("other", modality="ct", anatomy="kidney", labels=LABELS)
    elsewhere = make_card("elsewhere", modality="ct", anatomy="brain", labels=label_entries(["abscess type 2"]))
    write(scaffold(answers, layout, [elsewhere, other]), target("eyes", tmp_path, tmp_path))
    found = read_card(tmp_path / "eyes.md").labels
    assert [entry.label for entry in found.values()] == ["kidney stone", "kidney tumor", "abscess type 2"]


@pytest.mark.parametrize(
    ("labels_from", "draw", "told"),
    [
        ("folders", table, "no folders that could be labels"),
        ("table", folders, "no .csv"),
        ("masks", table, "no two folders"),
        ("boxes", table, "no .csv"),
    ],
)
def test_a_download_that_tells_its_labels_otherwise(
    labels_from: str, draw: Callable[[Path], None], told: str, tmp_path: Path
) -> None:
    draw(tmp_path / "raw")
    kind = {"masks": "segmentation", "boxes": "detection"}.get(labels_from, "classification")
    with pytest.raises(LayoutError, match=told):
        begin(tmp_path / "mine", kind, "--labels-from", labels_from, "--raw", tmp_path / "raw")
    assert not (tmp_path / "mine").exists()


NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=12)


@settings(max_examples=60)
@given(st.lists(NAMES, min_size=2, max_size=5, unique=True))
@example(["yes", "no"])
@example(["{a,b}", "[!x]", "*"])
@example(["a: b", "c #d", "- e"])
@example(['"', "'", "\\"])
@example(["1", "2"])
def test_whatever_labels_are_called_the_three_files_can_be_read(names: list[str]) -> None:
    import tempfile

    names = [name for name in names if "/" not in name and name not in (".", "..")]
    answers = Answers("eyes", 'Eyes: "all" \\ of them', "classification", "dp", "skin", "x", None, None, {})
    made = scaffold(
        answers, imagined("folders", names, several=False) if names else imagined("folders", ["a"], several=False), []
    )
    compile(made.loader, "eyes.py", "exec")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "eyes.md").write_text(
            made.card.replace("task: x", "task: disease classification"), encoding="utf-8"
        )
        (Path(folder) / "eyes.yaml").write_text(made.fixture, encoding="utf-8")
        card = read_card(Path(folder) / "eyes.md")
        fixture = read_fixture(Path(folder) / "eyes.yaml")
    assert list(card.labels) == (names or ["a"])
    pattern = re.search(r"raw\.glob\((.*)\):", made.loader)
    assert pattern is not None
    fits = compile_patterns([eval(pattern[1])]).fullmatch
    assert all(fits(unicodedata.normalize("NFC", path.removeprefix("$/"))) for path in fixture.tree)
    assert not fits("another folder/picture_1.png")
