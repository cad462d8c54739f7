"""Raw roots: one tree whatever the download is packed in."""

from __future__ import annotations

import contextlib
import datetime
import io
import itertools
import os
import pickle
import random
import re
import stat
import subprocess
import sys
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from med_mat.errors import LayoutError
from med_mat.raw import RawRoot

Tree = Mapping[str, bytes]

TREE: Tree = {
    "Training/glioma/a.jpg": b"first",
    "Training/glioma/B.JPG": b"second" * 1000,
    "Testing/no tumor/c [1].jpg": b"",
    "Testing/no tumor/Ünal.jpg": b"fourth",
    "labels.csv": b"name,label\n",
}
JUNK: Tree = {
    "__MACOSX/Training/glioma/._a.jpg": b"x",
    ".DS_Store": b"x",
    "Training/._a.jpg": b"x",
    "Training/glioma/Thumbs.db": b"x",
    "Training/DESKTOP.INI": b"x",
    "Training/.ipynb_checkpoints/glioma/a.jpg": b"x",
    "PaxHeaders.17/a.jpg": b"x",
    "@eaDir/Training/glioma/a.jpg": b"x",
}
PICTURES = "{Training,Testing}/*/*.jpg"


NUMBERS = itertools.count()


def put(folder: Path, tree: Tree) -> Path:
    for path, data in tree.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return folder


def zipped(tree: Tree) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in tree.items():
            archive.writestr(path, data)
    return stream.getvalue()


def tarred(tree: Tree, mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for path, data in tree.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def below(prefix: str, tree: Tree) -> Tree:
    return {f"{prefix}/{path}": data for path, data in tree.items()}


def memory(tree: Tree) -> str:
    name = f"test-raw-{next(NUMBERS)}"
    system = fsspec.filesystem("memory")
    for path, data in tree.items():
        system.pipe(f"/{name}/{path}", data)
    return f"memory://{name}"


ALL = {**TREE, **JUNK}
THREE: Tree = {
    f"images_{number:03}.tar.gz": tarred(dict(itertools.islice(ALL.items(), start, start + 5)), "w:gz")
    for number, start in enumerate(range(0, len(ALL), 5))
}
NFD = {unicodedata.normalize("NFD", path): data for path, data in ALL.items()}
FORMS: dict[str, Callable[[Path], str | Path]] = {
    "folder": lambda tmp: put(tmp, ALL),
    "wrapped folder": lambda tmp: put(tmp, below("release/release 1.0", ALL)),
    "decomposed names": lambda tmp: put(tmp, NFD),
    "zip": lambda tmp: put(tmp, {"archive.zip": zipped(ALL)}) / "archive.zip",
    "wrapped zip": lambda tmp: put(tmp, {"archive.ZIP": zipped(below("data", ALL))}) / "archive.ZIP",
    "zip of decomposed names": lambda tmp: put(tmp, {"archive.zip": zipped(NFD)}),
    "tar": lambda tmp: put(tmp, {"archive.tar": tarred(below(".", ALL))}) / "archive.tar",
    "tar.gz": lambda tmp: put(tmp, {"archive.tar.gz": tarred(ALL, "w:gz")}) / "archive.tar.gz",
    "tar.bz2": lambda tmp: put(tmp, {"archive.tar.bz2": tarred(ALL, "w:bz2")}) / "archive.tar.bz2",
    "tar.xz": lambda tmp: put(tmp, {"archive.txz": tarred(ALL, "w:xz")}) / "archive.txz",
    "tar under the name of a tar.gz": lambda tmp: put(tmp, {"archive.tgz": tarred(ALL)}),
    "archives side by side": lambda tmp: put(tmp, THREE),
    "zip in zip": lambda tmp: put(tmp, {"outer.zip": zipped({"images/part_1.zip": zipped(ALL)})}),
    "tars in zip": lambda tmp: put(tmp, {"outer.zip": zipped(below("images", THREE))}) / "outer.zip",
    "zip in tar.gz in zip": lambda tmp: put(
        tmp, {"outer.zip": zipped({"a/b.tar.gz": tarred({"c.zip": zipped(ALL)}, "w:gz")})}
    ),
    "folder of the name of an archive": lambda tmp: put(tmp, below("archive.zip", ALL)),
    "file URL": lambda tmp: put(tmp, ALL).as_uri(),
    "remote folder": lambda _: memory(ALL),
    "remote zip": lambda _: memory({"archive.zip": zipped(ALL)}) + "/archive.zip",
    "remote tar": lambda _: memory({"x/archive.tar": tarred(ALL)}),
    "remote archives side by side": lambda _: memory(THREE),
}


@pytest.fixture(params=list(FORMS))
def packed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RawRoot]:
    place = FORMS[request.param](tmp_path / "raw")
    with RawRoot.open(place, cache=tmp_path / "cache") as raw:
        yield raw


def test_every_form_of_a_release_reads_alike(packed: RawRoot) -> None:
    found = packed.glob(PICTURES)
    pictures = sorted(path for path in TREE if path != "labels.csv")
    assert [str(file.key) for file in found] == pictures
    for file in found:
        data = TREE[str(file.key)]
        assert (file.size, file.missing) == (len(data), False)
        assert file.mtime_ns > 10**18
        assert packed.read(file) == data
        assert packed.read(file.path) == packed.read(str(file.path)) == data
        with packed.open_file(file) as stream:
            assert stream.read(3) == data[:3]
            assert stream.seek(0, io.SEEK_END) == len(data)
            assert stream.seek(-min(2, len(data)), io.SEEK_CUR) == max(0, len(data) - 2)
            assert stream.read() == data[-2:]
            stream.seek(0)
            assert stream.read() == data
    assert packed.read(packed.one("labels.csv")) == TREE["labels.csv"]
    assert len(packed.files) == len(TREE)
    for file in packed.files:
        plain = re.sub(r"(?i)\.(zip|tar(\.(gz|bz2))?|tgz)/", "/", unicodedata.normalize("NFC", str(file.path)))
        assert file.key == PurePosixPath(plain)
    assert [file.path for file in packed.files] == sorted(file.path for file in packed.files)
    assert list(packed.skipped) == []


def test_a_pickled_root_reads_by_path_without_listing(packed: RawRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    files = packed.glob(PICTURES)
    dumped = pickle.dumps((packed, files))
    assert len(pickle.dumps(packed)) < 1000

    def unexpected(*_: object, **__: object) -> None:
        raise AssertionError("the tree was listed")

    monkeypatch.setattr(os, "scandir", unexpected)
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "find", unexpected)
    again, same = pickle.loads(dumped)
    with again:
        assert same == files
        assert {str(file.key): again.read(file) for file in same} == {
            path: data for path, data in TREE.items() if path != "labels.csv"
        }


def test_another_process_reads_what_this_one_has_found(tmp_path: Path) -> None:
    place = put(tmp_path / "raw", {"outer.zip": zipped({"b.tar.gz": tarred(TREE, "w:gz")})})
    raw = RawRoot.open(place, cache=tmp_path / "cache")
    file = raw.one("a.jpg")
    (tmp_path / "task").write_bytes(pickle.dumps((raw, file)))
    code = "import pickle, sys; raw, file = pickle.load(open(sys.argv[1], 'rb')); print(raw.read(file))"
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "task"], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "b'first'"


def test_a_forked_process_does_not_disturb_its_parent(tmp_path: Path) -> None:
    tree = {f"{number}.bin": bytes([number]) * 200_000 for number in range(40)}
    raw = RawRoot.open(put(tmp_path, {"a.tar": tarred(tree), "b.zip": zipped(tree)}))
    files = raw.files
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = int(not all(raw.read(file) == tree[file.name] for file in [*files, *files]))
            finally:
                os._exit(status)
        children.append(child)
    assert all(raw.read(file) == tree[file.name] for file in [*files, *files])
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]


# Patterns


SEGMENT = st.text("aAbé.-[", min_size=1, max_size=3).filter(lambda name: not name.startswith("."))
PATHS = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join)
LITERAL = st.sampled_from("aAbBéÉ.-/").map(lambda char: ("literal", char))
WILDCARD = st.sampled_from([("star",), ("any",), ("deep",), ("class", False, "ab"), ("class", True, "a."), ("range",)])
ATOMS = st.lists(LITERAL | WILDCARD, max_size=5)
PATTERN = st.recursive(
    ATOMS,
    lambda inner: st.tuples(ATOMS, st.lists(inner, min_size=1, max_size=3), ATOMS).map(
        lambda parts: [*parts[0], ("either", parts[1]), *parts[2]]
    ),
    max_leaves=6,
)


def written(pattern: list[tuple]) -> str:
    text = ""
    for kind, *rest in pattern:
        match kind:
            case "literal":
                text += rest[0]
            case "star":
                text += "*"
            case "any":
                text += "?"
            case "deep":
                text += "**"
            case "class":
                text += f"[{'!' * rest[0]}{rest[1]}]"
            case "range":
                text += "[+-a]"
            case "either":
                text += "{" + ",".join(map(written, rest[0])) + "}"
    return text


def alternatives(pattern: list[tuple]) -> list[list[tuple]]:
    choices = [
        [way for inner in atom[1] for way in alternatives(inner)] if atom[0] == "either" else [[atom]]
        for atom in pattern
    ]
    return [list(itertools.chain(*ways)) for ways in itertools.product(*choices)]


def segments(plain: list[tuple]) -> list[list[tuple]] | None:
    """The segments of a pattern without braces; None if it is malformed. Follows the documentation, not the code."""
    parts: list[list[tuple]] = [[]]
    for atom in plain:
        if atom == ("literal", "/"):
            parts.append([])
        else:
            parts[-1].append(atom)
    texts = [written(part) for part in parts]
    if "" in texts or "." in texts or ".." in texts or texts[0] == "**":
        return None
    if any("**" in text and text != "**" for text in texts):
        return None
    # Braces are written out first: *{}* is ** too.
    return [[("deep",)] if text == "**" else part for text, part in zip(texts, parts, strict=True)]


def fits_segment(atoms: list[tuple], name: str) -> bool:
    if not atoms:
        return not name
    kind, *rest = atoms[0]
    if kind == "star":
        return any(fits_segment(atoms[1:], name[start:]) for start in range(len(name) + 1))
    if not name:
        return False
    char = name[0]
    fits = {
        "literal": lambda: char.lower() == rest[0].lower(),
        "any": lambda: True,
        "class": lambda: (char.lower() in rest[1]) != rest[0],
        "range": lambda: any("+" <= case <= "a" for case in (char.lower(), char.upper())),
    }[kind]()
    return fits and fits_segment(atoms[1:], name[1:])


def fits(parts: list[list[tuple]], names: list[str]) -> bool:
    if not parts:
        return not names
    if parts[0] == [("deep",)]:
        return any(fits(parts[1:], names[count:]) for count in range(len(parts) == 1, len(names) + 1))
    return bool(names) and fits_segment(parts[0], names[0]) and fits(parts[1:], names[1:])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sets(PATHS, min_size=1, max_size=12), st.lists(PATTERN, min_size=1, max_size=2))
def test_glob_equals_a_slow_reference(paths: set[str], patterns: list[list[tuple]]) -> None:
    memory_system = fsspec.filesystem("memory")
    memory_system.pipe("/reference.zip", zipped({path: path.encode() for path in paths}))
    raw = RawRoot.open("memory://reference.zip")
    texts = [written(pattern) for pattern in patterns]
    plain = [segments(way) for pattern in patterns for way in alternatives(pattern)]
    if None in plain:
        with pytest.raises(ValueError, match="pattern"):
            raw.glob(*texts, optional=True)
        return
    by_key: dict[PurePosixPath, list[PurePosixPath]] = {}
    for path in paths:
        names = ["reference", *path.split("/")]
        for count in range(1, len(names) + 1):
            if any(parts is not None and fits(parts, names[-count:]) for parts in plain):
                by_key.setdefault(PurePosixPath(*names[-count:]), []).append(PurePosixPath("reference.zip", path))
                break
    ranked = {key: sorted(found, key=lambda path: (len(path.parts), path)) for key, found in sorted(by_key.items())}
    got = raw.glob(*texts, optional=True)
    assert [(file.key, file.path) for file in got] == [(key, found[0]) for key, found in ranked.items()]
    assert all(raw.read(file).decode() == str(file.path).removeprefix("reference.zip/") for file in got)
    left_out = {(copy.kept.path, copy.other.path) for copy in raw.copies}
    assert left_out == {(found[0], other) for found in ranked.values() for other in found[1:]}


@pytest.mark.parametrize(
    ("pattern", "keys"),
    [
        ("*.jpg", ["2 [a].jpg", "a.jpg", "b.JPG", "c.jpg"]),
        ("B.jpg", ["b.JPG"]),
        ("masks/**/*.jpg", ["masks/c.jpg", "masks/deep/er/b.JPG"]),
        ("masks/**", ["masks/c.jpg", "masks/deep/er/b.JPG"]),
        ("{x,masks/deep}/**/*.jpg", ["masks/deep/er/b.JPG", "x/2 [a].jpg", "x/a.jpg"]),
        ("{x/{2,3}*,masks/*}.jpg", ["masks/c.jpg", "x/2 [a].jpg"]),
        ("2 [[]a].jpg", ["2 [a].jpg"]),
        ("[!b-c].jpg", ["a.jpg"]),
        ("?.jpg", ["a.jpg", "b.JPG", "c.jpg"]),
        ("sks/*.jpg", []),
        ("*.jp", []),
    ],
)
def test_patterns_by_example(tmp_path: Path, pattern: str, keys: list[str]) -> None:
    names = ["x/a.jpg", "x/2 [a].jpg", "masks/deep/er/b.JPG", "masks/c.jpg"]
    raw = RawRoot.open(put(tmp_path, dict.fromkeys(names, b"")))
    assert [str(file.key) for file in raw.glob(pattern, optional=True)] == keys


@pytest.mark.parametrize(
    "pattern",
    ["**/*.jpg", "{a,**}/*.jpg", "", "/a", "a/", "a//b", "a**", "x/**y", "../a", "./a", "{a", "a}", "[z-a]"],
)
def test_malformed_patterns_are_refused(tmp_path: Path, pattern: str) -> None:
    raw = RawRoot.open(put(tmp_path, {"a.jpg": b""}))
    with pytest.raises(ValueError, match="pattern"):
        raw.glob(pattern, optional=True)


def test_no_pattern_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a pattern is needed"):
        RawRoot.open(put(tmp_path, {"a.jpg": b""})).glob()


# Searches


def test_of_files_with_one_key_the_least_nested_is_kept(tmp_path: Path) -> None:
    tree = {"t/a.png": b"1", "t/b.png": b"2"}
    raw = RawRoot.open(
        put(tmp_path, {**below("set/set", tree), **below("set", tree), "set.zip": zipped(tree), "z/t/b.png": b"3"})
    )
    assert [str(file.path) for file in raw.glob("t/*.png")] == ["set/t/a.png", "set/t/b.png"]
    assert [(str(copy.kept.path), str(copy.other.path)) for copy in raw.copies] == [
        ("set/t/a.png", "set/set/t/a.png"),
        ("set/t/b.png", "set/set/t/b.png"),
        ("set/t/a.png", "set.zip/t/a.png"),
        ("set/t/b.png", "set.zip/t/b.png"),
        ("set/t/b.png", "z/t/b.png"),
    ]
    raw.glob("t/*.png")
    assert len(raw.copies) == 5


def test_find_answers_by_key_and_by_stem(tmp_path: Path) -> None:
    names = ["w/images/IM_1.PNG", "w/images/IM_1.jpg", "w/images/Été.png", "w/images/x/IM_1.jpg"]
    raw = RawRoot.open(put(tmp_path, {name: name.encode() for name in names}))
    by_key = raw.find("images/**/*.{png,jpg}")
    assert list(by_key) == ["images/IM_1.PNG", "images/IM_1.jpg", "images/x/IM_1.jpg", "images/Été.png"]
    assert by_key["images/IM_1.PNG"].path == PurePosixPath("w/images/IM_1.PNG")
    assert by_key["images/im_1.png"].path == PurePosixPath("w/images/IM_1.PNG")
    assert unicodedata.normalize("NFD", "images/Été.png") in by_key
    assert "images/none.png" not in by_key
    absent = by_key["images/none.png"]
    assert (absent.missing, absent.size, absent.mtime_ns, str(absent.key)) == (True, 0, 0, "images/none.png")
    with pytest.raises(LayoutError, match=r"images/none\.png is named by a label file"):
        raw.read(absent)
    assert raw.copies == []
    by_stem = raw.find("*.{png,jpg}", by="stem")
    assert list(by_stem) == ["IM_1", "Été"]
    assert len(by_stem) == 2
    assert by_stem["IM_1"].path == PurePosixPath("w/images/IM_1.PNG")
    assert [file.name for file in by_stem.values()] == ["IM_1.PNG", "Été.png"]
    assert [str(copy.other.path) for copy in raw.copies] == ["w/images/IM_1.jpg", "w/images/x/IM_1.jpg"]
    assert len(raw.find("*.tif")) == 0


def test_a_name_that_fits_two_files_but_for_case_is_missing(tmp_path: Path) -> None:
    archive = zipped({"a.png": b"1", "A.png": b"2"})
    lookup = RawRoot.open(put(tmp_path, {"archive.zip": archive})).find("*.png")
    assert lookup["a.png"].path.name == "a.png"
    assert lookup["A.png"].path.name == "A.png"
    assert lookup["A.PNG"].missing


def test_names_of_a_file_are_those_of_its_key(tmp_path: Path) -> None:
    file = RawRoot.open(put(tmp_path, {"w/Scans/IM.001.DCM": b""})).one("scans/*.dcm")
    assert (file.name, file.stem, file.suffix, str(file.parent)) == ("IM.001.DCM", "IM.001", ".dcm", "Scans")


def test_one_and_maybe(tmp_path: Path) -> None:
    raw = RawRoot.open(put(tmp_path, {"a/x.csv": b"1", "b/c/x.csv": b"2", "y.csv": b"3"}))
    assert str(raw.one("X.csv").path) == "a/x.csv"
    assert raw.maybe("z.csv") is None
    for search in (raw.one, raw.maybe):
        with pytest.raises(LayoutError, match=r"one file expected for \*\.csv, 2 found: a/x\.csv, y\.csv"):
            search("*.csv")
    with pytest.raises(
        LayoutError, match=r"end in z\.csv or q\.csv\.\nThere are 3 files:\n  \./  1 \.csv\n  a/  1 \.csv"
    ):
        raw.one("z.csv", "q.csv")


def test_a_layout_that_does_not_fit_is_shown(tmp_path: Path) -> None:
    tree = {f"set/class{number:02}/{name}": b"" for number in range(20) for name in ("1.jpg", "2.JPG", "notes")}
    raw = RawRoot.open(put(tmp_path, {**tree, "labels.csv": b"", "images.part1.rar": b"", "images.part2.rar": b""}))
    with pytest.raises(LayoutError) as caught:
        raw.glob("{Training,Testing}/*/*.png")
    text = str(caught.value)
    assert str(tmp_path) in text
    assert "{Training,Testing}/*/*.png" in text
    assert "There are 61 files:\n  ./  1 .csv\n  set/class00/  1 (no extension), 2 .jpg\n" in text
    assert "set/class13/" in text
    assert "set/class14/" not in text
    assert "and 6 more folders" in text
    assert "images.part1.rar: this kind of archive is not read in place (2 parts); unpack it: `unrar x" in text
    assert raw.glob("*.png", optional=True) == []


@pytest.mark.parametrize(
    ("names", "command"),
    [
        (["a b.rar"], 'unrar x "a b.rar"'),
        (["x.r00", "x.rar", "x.r01"], "unrar x x.rar"),
        ([f"x.part{number}.rar" for number in range(1, 12)], "unrar x x.part1.rar"),
        (["x.7z"], "7z x x.7z"),
        (["x.7z.002", "x.7z.001"], "7z x x.7z.001"),
        (["x.zip.001"], "7z x x.zip.001"),
        (["x.z01", "x.z02"], "7z x x.zip"),
    ],
)
def test_foreign_archives_are_told_how_to_unpack(tmp_path: Path, names: list[str], command: str) -> None:
    raw = RawRoot.open(put(tmp_path, {**dict.fromkeys(names, b"?"), "a.txt": b""}))
    (skipped,) = raw.skipped
    assert f"`{command}`" in skipped.reason
    assert [str(file.path) for file in raw.files] == ["a.txt"]


def test_a_foreign_archive_beside_its_unpacked_folder_is_ignored(tmp_path: Path) -> None:
    tree = {"train.7z": b"", "train/1.jpg": b"", "test.part1.rar": b"", "test/1.jpg": b"", "train2/1.jpg": b""}
    raw = RawRoot.open(put(tmp_path, {**tree, "train2.rar.7z": b"", "sub/train.7z": b""}))
    assert [str(entry.path) for entry in raw.skipped] == ["sub/train.7z", "train2.rar.7z"]


@pytest.mark.parametrize("name", ["data.rar", "data.part2.rar", "data.7z", "data.7z.001"])
def test_a_foreign_archive_alone_says_how_to_unpack_it(tmp_path: Path, name: str) -> None:
    put(tmp_path, {name: b"?"})
    with pytest.raises(LayoutError, match=f"Unpack it first .*{name}.*give the folder"):
        RawRoot.open(tmp_path / name)
    with pytest.raises(LayoutError, match=f"no file that can be read.\nNot read .*\n  {name}.*unpack it"):
        RawRoot.open(tmp_path).glob("*.jpg", optional=True)


def test_places_that_are_no_download(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="no such file or folder"):
        RawRoot.open(tmp_path / "absent")
    with pytest.raises(LayoutError, match="no file that can be read"):
        _ = RawRoot.open(tmp_path).files
    put(tmp_path, {"notes.txt": b"", ".DS_Store": b""})
    with pytest.raises(LayoutError, match="neither a folder nor an archive"):
        RawRoot.open(tmp_path / "notes.txt")
    with pytest.raises(LayoutError, match="nothing there"):
        RawRoot.open(f"memory://{tmp_path.name}/absent")
    with pytest.raises(LayoutError, match="cannot be opened"):
        RawRoot.open("nosuchprotocol://bucket/folder")


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "../secret", "a/../../secret", "absent", "archive.zip/absent", "x/a", "folder"]
)
def test_paths_outside_the_root_are_not_read(tmp_path: Path, path: str) -> None:
    put(tmp_path, {"secret": b"s"})
    raw = RawRoot.open(put(tmp_path / "raw", {"x": b"1", "archive.zip": zipped({"a": b"2"}), "folder/a": b""}))
    for access in (raw.read, raw.open_file):
        with pytest.raises(LayoutError, match=r"no file|not a path inside"):
            access(path)


@pytest.mark.parametrize("remote", [False, True])
def test_an_archive_as_root_does_not_reach_its_neighbours(tmp_path: Path, remote: bool) -> None:
    tree = {"archive.zip": zipped({"a": b"2"}), "neighbour": b"", "other.zip": zipped({"b": b""})}
    place = memory(tree) + "/archive.zip" if remote else put(tmp_path, tree) / "archive.zip"
    raw = RawRoot.open(place)
    assert [str(file.path) for file in raw.files] == ["archive.zip/a"]
    for path in ("neighbour", "other.zip/b"):
        with pytest.raises(LayoutError, match="no file"):
            raw.read(path)


# Links and permissions


def test_links_are_followed_once(tmp_path: Path) -> None:
    put(tmp_path / "store", {"a.jpg": b"1", "sub/b.jpg": b"2"})
    root = put(tmp_path / "root", {"here/c.jpg": b"3"})
    (root / "file.jpg").symlink_to(tmp_path / "store/a.jpg")
    (root / "linked").symlink_to(tmp_path / "store")
    (root / "again").symlink_to(root / "here")
    (root / "here/loop").symlink_to(root)
    (root / "dangling.jpg").symlink_to(tmp_path / "nothing")
    os.mkfifo(root / "pipe")
    raw = RawRoot.open(root)
    assert {str(file.path): raw.read(file) for file in raw.files} == {
        "file.jpg": b"1",
        "here/c.jpg": b"3",
        "linked/a.jpg": b"1",
        "linked/sub/b.jpg": b"2",
    }
    assert [(str(entry.path), entry.reason.split(" that")[0]) for entry in raw.skipped] == [
        ("again", "link to a folder"),
        ("dangling.jpg", "link to nothing"),
        ("here/loop", "link to a folder"),
        ("pipe", "not a regular file"),
    ]


def test_a_folder_that_may_not_be_listed_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, {"open/a.jpg": b"", "closed/b.jpg": b""})
    scandir = os.scandir

    def guarded(place: Path) -> object:
        # A test that runs as the administrator is not stopped by permissions.
        if place.name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(place)

    monkeypatch.setattr(os, "scandir", guarded)
    raw = RawRoot.open(tmp_path)
    assert [file.name for file in raw.files] == ["a.jpg"]
    assert [(str(entry.path), entry.reason) for entry in raw.skipped] == [
        ("closed", "folder cannot be listed (Permission denied); check its permissions")
    ]


# Other platforms refuse such names on their file systems.
@pytest.mark.parametrize("packing", ["tar", "folder"] if sys.platform == "linux" else ["tar"])
def test_names_that_are_not_utf8_are_skipped(tmp_path: Path, packing: str) -> None:
    tree = {"a.jpg": b"", os.fsdecode(b"\xff\xcd.jpg"): b""}
    if packing == "tar":
        with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as archive:
            for name in tree:
                archive.addfile(member(name))
    else:
        put(tmp_path, tree)
    raw = RawRoot.open(tmp_path)
    assert [file.name for file in raw.files] == ["a.jpg"]
    assert "not UTF-8" in raw.skipped[0].reason
    str(raw.skipped[0].path).encode()


# Archives that are hostile, damaged or odd


def member(name: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def test_hostile_tar_members_are_skipped(tmp_path: Path) -> None:
    put(tmp_path, {"secret": b"s"})
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(member("good/a.jpg", size=2), io.BytesIO(b"ok"))
        for name in ("../secret", "x/../../secret", "/secret", "C:/secret", "c:\\secret"):
            archive.addfile(member(name))
        archive.addfile(member("soft", type=tarfile.SYMTYPE, linkname="../secret"))
        archive.addfile(member("hard", type=tarfile.LNKTYPE, linkname="good/a.jpg"))
        archive.addfile(member("device", type=tarfile.CHRTYPE))
        archive.addfile(member("pipe", type=tarfile.FIFOTYPE))
        archive.addfile(member("folder", type=tarfile.DIRTYPE))
    raw = RawRoot.open(tmp_path / "a.tar")
    assert {str(file.path): raw.read(file) for file in raw.files} == {"a.tar/good/a.jpg": b"ok"}
    reasons = [entry.reason for entry in raw.skipped]
    assert sum("climbs out" in reason for reason in reasons) == 2
    assert sum("absolute" in reason for reason in reasons) == 3
    assert sum("link or device" in reason for reason in reasons) == 4
    assert len(reasons) == 9


def test_hostile_and_odd_zip_members(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("good/", b"")
        archive.writestr("good/a.jpg", b"ok")
        archive.writestr("bad\\windows.jpg", b"back")
        for name in ("../secret", "x/..\\..\\secret", "/secret", "C:\\secret"):
            archive.writestr(name, b"")
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "../secret")
        unflagged = zipfile.ZipInfo("été.jpg")
        archive.writestr(unflagged, b"summer")
    data = (tmp_path / "a.zip").read_bytes()
    # An archiver of macOS: UTF-8 names without the flag that says so.
    position = data.rindex("été.jpg".encode())
    header = data.rindex(b"PK\x01\x02", 0, position)
    data = data[: header + 8] + b"\x00\x00" + data[header + 10 :]
    position = data.index("été.jpg".encode())
    header = data.rindex(b"PK\x03\x04", 0, position)
    data = data[: header + 6] + b"\x00\x00" + data[header + 8 :]
    raw = RawRoot.open(put(tmp_path, {"a.zip": data}) / "a.zip")
    assert {str(file.path): raw.read(file) for file in raw.files} == {
        "a.zip/bad/windows.jpg": b"back",
        "a.zip/good/a.jpg": b"ok",
        "a.zip/été.jpg": b"summer",
    }
    reasons = [entry.reason for entry in raw.skipped]
    assert sum("climbs out" in reason for reason in reasons) == 2
    assert sum("absolute" in reason for reason in reasons) == 2
    assert sum("link or device" in reason for reason in reasons) == 1


@pytest.mark.parametrize(("offset", "value", "reason"), [(8, b"\x01\x00", "encrypted"), (10, b"\x09\x00", "method 9")])
def test_zip_members_that_cannot_be_decoded_are_skipped(tmp_path: Path, offset: int, value: bytes, reason: str) -> None:
    data = zipped({"a.jpg": b"1", "b.jpg": b"2"})
    header = data.index(b"PK\x01\x02")
    data = data[: header + offset] + value + data[header + offset + len(value) :]
    raw = RawRoot.open(put(tmp_path, {"a.zip": data}))
    assert [file.name for file in raw.files] == ["b.jpg"]
    assert str(raw.skipped[0].path) == "a.zip/a.jpg"
    assert reason in raw.skipped[0].reason


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.zip", b"<html>not found</html>"),
        ("a.zip", b""),
        ("a.zip", zipped(TREE)[:-30]),
        ("a.tar", b"<html>not found</html>"),
        ("a.tar", b""),
        ("a.tar", tarred(TREE)[:1500]),
        ("a.tar.gz", tarred(TREE, "w:gz")[:-20]),
        ("a.tar.gz", b"\x1f\x8b\x08 no"),
        ("a.tar.xz", tarred(TREE, "w:xz")[:-20]),
        ("a.tar.bz2", tarred(TREE, "w:bz2")[:-20]),
    ],
)
def test_a_broken_archive(tmp_path: Path, name: str, data: bytes) -> None:
    alone = put(tmp_path / "alone", {name: data}) / name
    with pytest.raises(LayoutError, match=rf"{name}: not a readable archive \(.+\); download it again"):
        RawRoot.open(alone, cache=tmp_path / "cache").glob("*.jpg", optional=True)
    for others in ({"b.jpg": b""}, {"b.zip": zipped({"b.jpg": b""})}):
        raw = RawRoot.open(put(tmp_path / f"{len(others)}", {name: data, **others}), cache=tmp_path / "cache")
        assert [file.name for file in raw.glob("*.jpg")] == ["b.jpg"]
        assert [str(entry.path) for entry in raw.skipped] == [name]
        assert "download it again" in raw.skipped[0].reason
    assert list((tmp_path / "cache").glob("*.part")) == [] if (tmp_path / "cache").exists() else True


def test_a_damaged_tar_header_is_no_end(tmp_path: Path) -> None:
    data = bytearray(tarred({"a.jpg": b"1", "b.jpg": b"2"}))
    data[1024 + 10] ^= 255
    with pytest.raises(LayoutError, match="damaged header at byte 1024"):
        RawRoot.open(put(tmp_path, {"a.tar": bytes(data)}) / "a.tar").glob("*.jpg")


@pytest.mark.parametrize("pack", [zipped, tarred], ids=["zip", "tar"])
def test_no_damage_escapes_as_a_foreign_exception(tmp_path: Path, pack: Callable[[Tree], bytes]) -> None:
    data, name = pack(TREE), "a.zip" if pack is zipped else "a.tar"
    chance = random.Random(7)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        (tmp_path / name).write_bytes(damaged)
        with RawRoot.open(tmp_path) as raw, contextlib.suppress(LayoutError):
            for file in raw.files:
                raw.read(file)


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    data = zipped({"good.jpg": b"1" * 50, "bad.jpg": os.urandom(1000)})
    position = data.index(b"bad.jpg") + 200
    data = data[:position] + bytes([data[position] ^ 255]) + data[position + 1 :]
    raw = RawRoot.open(put(tmp_path, {"a.zip": data}))
    assert raw.read("a.zip/good.jpg") == b"1" * 50
    with pytest.raises(LayoutError, match=r"a\.zip/bad\.jpg is damaged in its archive .*download it again"):
        raw.read("a.zip/bad.jpg")


def test_a_tar_that_shrinks_after_it_was_listed(tmp_path: Path) -> None:
    raw = RawRoot.open(put(tmp_path, {"a.tar": tarred({"a.jpg": b"1" * 100_000})}))
    file = raw.one("a.jpg")
    os.truncate(tmp_path / "a.tar", 50_000)
    with pytest.raises(LayoutError, match=r"a\.tar/a\.jpg is damaged in its archive \(100000 bytes expected"):
        raw.read(file)


def test_archives_nested_too_deep_are_skipped(tmp_path: Path) -> None:
    data, path = zipped({"a.jpg": b""}), ""
    for level in range(5):
        data = zipped({"inner.zip": data, f"{level}.jpg": b""})
    raw = RawRoot.open(put(tmp_path, {"inner.zip": data}), cache=tmp_path / "cache")
    assert [file.name for file in raw.glob("*.jpg")] == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    path = "/".join(["inner.zip"] * 5)
    assert [(str(entry.path), "more than 4 deep" in entry.reason) for entry in raw.skipped] == [(path, True)]


def test_a_nested_archive_that_lies_about_its_size_is_skipped(tmp_path: Path) -> None:
    inner = zipped(TREE)
    data = bytearray(zipped({"inner.zip": inner, "a.jpg": b""}))
    header = data.index(b"PK\x01\x02")
    data[header + 24 : header + 28] = (len(inner) + 1).to_bytes(4, "little")
    raw = RawRoot.open(put(tmp_path, {"outer.zip": bytes(data)}), cache=tmp_path / "cache")
    assert [file.name for file in raw.files] == ["a.jpg"]
    assert str(raw.skipped[0].path) == "outer.zip/inner.zip"


# Storage that is not a local folder


def elsewhere(place: str, facts: dict[str, object]) -> str:
    """The same storage under a protocol that tells these facts of each file, besides its size."""

    class Elsewhere(fsspec.get_filesystem_class("memory")):
        protocol = "elsewhere"

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return super()._strip_protocol(path.removeprefix("elsewhere:/"))

        def info(self, path: str, **options: object) -> dict[str, object]:
            known = super().info(path, **options)
            return {name: known[name] for name in ("name", "size", "type")} | facts

    fsspec.register_implementation("elsewhere", Elsewhere, clobber=True)
    return place.replace("memory", "elsewhere", 1)


@pytest.mark.parametrize(
    ("fact", "mtime_ns"),
    [
        ({"mtime": 1.5}, 1_500_000_000),
        ({"LastModified": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)}, 1_577_836_800 * 10**9),
        ({"updated": "2020-01-01T00:00:00.250Z"}, 1_577_836_800_250_000_000),
        ({"last_modified": "a while ago"}, 0),
        ({}, 0),
    ],
)
def test_times_of_remote_files(fact: dict[str, object], mtime_ns: int) -> None:
    place = elsewhere(memory({"a.zip": zipped(TREE)}), fact)
    assert RawRoot.open(f"{place}/a.zip").one("a.jpg").mtime_ns == mtime_ns


def test_copies_follow_an_archive_that_changes_its_etag_alone(tmp_path: Path) -> None:
    place = memory({"a.tar": b""})
    for etag, text in (("x", b"old"), ("y", b"new"), ("y", b"not read")):
        fsspec.filesystem("memory").pipe(f"{place}/a.tar", tarred({"b.tar": tarred({"c.txt": text})}))
        raw = RawRoot.open(elsewhere(place, {"ETag": etag}), cache=tmp_path)
        assert raw.read("a.tar/b.tar/c.txt") == (b"old" if etag == "x" else b"new")
    assert len(list(tmp_path.iterdir())) == 2


# The cache


def test_copies_are_made_once_and_follow_a_changed_archive(tmp_path: Path) -> None:
    put(tmp_path / "raw", {"a.tar.gz": tarred({"a.txt": b"old"}, "w:gz")})
    cache = tmp_path / "cache"
    for _ in range(2):
        assert RawRoot.open(tmp_path / "raw", cache=cache).read("a.tar.gz/a.txt") == b"old"
    (copy,) = cache.iterdir()
    before = copy.stat()
    put(tmp_path / "raw", {"a.tar.gz": tarred({"a.txt": b"new"}, "w:gz")})
    os.utime(tmp_path / "raw/a.tar.gz", ns=(1, before.st_mtime_ns + 10**9))
    assert RawRoot.open(tmp_path / "raw", cache=cache).read("a.tar.gz/a.txt") == b"new"
    assert copy.stat() == before
    assert len(list(cache.iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_no_broken_archive(tmp_path: Path) -> None:
    put(tmp_path, {"file": b"", "raw/a.tar.gz": tarred(TREE, "w:gz"), "raw/b.jpg": b""})
    with pytest.raises(LayoutError, match="cache folder cannot be made"):
        RawRoot.open(tmp_path / "raw", cache=tmp_path / "file/cache").glob("*.jpg")


def test_the_default_cache_is_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    raw = RawRoot.open(put(tmp_path / "raw", {"a.tar.gz": tarred(TREE, "w:gz")}))
    assert len(raw.files) == len(TREE)
    (folder,) = (tmp_path / "tmp").iterdir()
    assert folder.name.startswith("med-mat-raw")
    assert [file.suffix for file in folder.iterdir()] == [".tar"]
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_many_archives_are_closed_and_opened_again(tmp_path: Path) -> None:
    tree = {
        f"{number}.{kind}": pack({"a.txt": b"%d" % number})
        for number in range(40)
        for kind, pack in (("zip", zipped), ("tar", tarred))
    }
    raw = RawRoot.open(put(tmp_path, tree))
    streams = [(file, raw.open_file(file)) for file in raw.files[:3]]
    handles = Path("/proc/self/fd")
    for _ in range(2):
        for file in raw.files:
            assert raw.read(file).decode() == file.path.parts[0].partition(".")[0]
    if handles.exists():
        inside = sum(tmp_path in handle.readlink().parents for handle in handles.iterdir() if handle.is_symlink())
        assert inside <= 40
    for file, stream in streams:
        with stream:
            assert stream.read().decode() == file.path.parts[0].partition(".")[0]
    raw.close()
    assert raw.read("0.zip/a.txt") == b"0"


def test_an_archive_without_its_folder_inside_matches_as_if_it_were_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "Training.zip", "w") as archive:
        archive.writestr("glioma/a.jpg", b"a")
    with zipfile.ZipFile(tmp_path / "Testing.ZIP", "w") as archive:
        archive.writestr("Testing/glioma/b.jpg", b"b")
    raw = RawRoot.open(tmp_path)
    assert [(str(file.path), str(file.key)) for file in raw.glob("{Training,Testing}/*/*.jpg")] == [
        ("Testing.ZIP/Testing/glioma/b.jpg", "Testing/glioma/b.jpg"),
        ("Training.zip/glioma/a.jpg", "Training/glioma/a.jpg"),
    ]
