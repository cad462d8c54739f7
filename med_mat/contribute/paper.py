"""What can be said of a source without its pictures: its card, labels, rights, ledger, loader and style."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from med_mat.card import Card
from med_mat.contribute.contract import catalogue_problems
from med_mat.contribute.verdict import Finding
from med_mat.labels import MOST_DISTRACTORS, label_space
from med_mat.vocabulary import catalogue, subsets

BLANK = "FILL IN"
"""Marks in a scaffold what only a person can tell."""
LONG_LOADER = 45
LONGEST_LOADER = 80
QUESTIONS_OF_A_CARD = 6
_SHORT_PROSE = 120
_CLOSED = ("random", "os", "subprocess", "socket", "urllib", "http", "time", "tempfile", "shutil", "glob", "io")
_BRITISH = {
    "tumour": "tumor",
    "oedema": "edema",
    "haem": "hem",
    "leukaemi": "leukemi",
    "anaemi": "anemi",
    "oesophag": "esophag",
    "ischaem": "ischem",
    "grey": "gray",
    "faec": "fec",
    "paediatric": "pediatric",
    "fibre": "fiber",
    "caecum": "cecum",
}
_NOTHING = re.compile(r"(normal|healthy|no|without|negative)\b", re.IGNORECASE)
_UNSETTLED = re.compile(r"(none|unknown|not |unclear|contradictory|mixed)", re.IGNORECASE)
_BIBTEX = re.compile(r"\s*@\w+\s*\{\s*[^\s,{}]+\s*,.*\}\s*", re.DOTALL)


def blanks(path: Path) -> Iterator[Finding]:
    """Names the places of a file that a person has yet to fill in."""
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if BLANK in line:
            before, _, after = line.partition(BLANK)
            if before.endswith('"'):
                told = after.partition('"')[0]
            else:
                told = re.split(r"[],}]", after)[0] if before.endswith(("label: ", "[", ", ")) else after
            yield Finding("error", f"to be filled in: {told.strip(' :}') or line.strip()}", f"{path.name}:{number}")


def completeness(card: Card) -> Iterator[Finding]:
    """Says what a card leaves open that a reader, or a check of a whole download, would need."""
    for problem in catalogue_problems(card):
        yield Finding("error", problem)
    if not re.match(r"https?://", card.homepage) and BLANK not in card.homepage:
        yield Finding("warning", f"homepage: expected an address that begins with https://, found {card.homepage!r}")
    if not _BIBTEX.fullmatch(card.citation) and BLANK not in card.citation:
        yield Finding("warning", "citation: expected one or more BibTeX entries, @type{key, …}")
    if not card.download.places and card.download_of is None:
        yield Finding("warning", "download.places: none, so `med-mat download` cannot fetch it")
    if not card.evidence:
        yield Finding("warning", "evidence: none; say where layout, labels and counts can be read")
    uncounted = [raw for raw, entry in card.labels.items() if entry.label is not None and entry.count is None]
    if uncounted:
        yield Finding(
            "warning",
            f"labels: no count of {_listed(uncounted)}; without counts an incomplete download passes for a whole one",
        )
    if len(card.prose) < _SHORT_PROSE:
        yield Finding(
            "warning",
            f"prose: {len(card.prose)} characters; tell where the pictures come from, what ties some of them "
            "together, and what could give the label away",
        )
    if card.groups is None and card.official_splits == "none" and not card.no_test_split:
        yield Finding("note", "no groups: every picture may go to either side of the split; is there no patient id?")


def triplet(card: Card) -> Iterator[Finding]:
    """Says where the triplet, the kind and the subset do not fit each other. The words themselves the model checks."""
    wanted = {"segmentation": "segmentation", "detection": "detection"}
    if card.has_regions and not card.task.endswith(wanted[card.kind]):
        yield Finding("warning", f"task: {card.task!r} for kind {card.kind}; expected one that ends in {card.kind!r}")
    if not card.has_regions and card.task.endswith(("segmentation", "detection")):
        yield Finding("error", f"task: {card.task!r} asks for regions, which kind {card.kind} has none of")
    if card.subset is not None and card.slug not in catalogue():
        published = subsets()[card.subset]
        yield Finding(
            "warning",
            f"subset: {card.subset} ({published.title}) is a group of the published table, which does not have this "
            "source: subset_" + card.subset + " would no longer be as published; leave subset out, or say why it may",
        )
        if published.kind != card.kind:
            yield Finding("error", f"subset: {card.subset} is of kind {published.kind}, the card of kind {card.kind}")


def labels(card: Card, earlier: Sequence[Card]) -> Iterator[Finding]:
    """Says what is amiss with clean labels, their relations and the options that can be made of them.

    Args:
        card: The card.
        earlier: Cards admitted before it.
    """
    for entry in card.labels.values():
        name = entry.label
        if name is None:
            continue
        for british, american in _BRITISH.items():
            if british in name.lower():
                yield Finding("warning", f"label {name!r}: American spelling has {american!r} for {british!r}")
        if _NOTHING.match(name) and not entry.no_finding:
            yield Finding("warning", f"label {name!r}: says that nothing was found, or not? If so, no_finding: true")
        if entry.meaning.strip(" .").casefold() == name.casefold():
            yield Finding("warning", f"label {name!r}: the meaning repeats the label; say what it means clinically")
    peers = [
        peer for peer in earlier if card.subset is not None and (peer.subset, peer.kind) == (card.subset, card.kind)
    ]
    space = label_space(card, peers)
    known = {label for peer in peers for label in peer.clean_labels}
    spelt = {_folded(label): label for label in known}
    for name in card.clean_labels:
        other = spelt.get(_folded(name))
        if other is not None and name not in known and other not in space.related[name]:
            yield Finding(
                "error",
                f"label {name!r}: another source of subset {card.subset} has {other!r}; spell it alike, or relate the "
                "two by overlaps",
            )
    folded: dict[str, str] = {}
    for name in card.clean_labels:
        if folded.setdefault(_folded(name), name) != name:
            yield Finding("error", f"labels {folded[_folded(name)]!r} and {name!r} differ in spelling only")
    if card.has_regions:
        return
    if card.kind != "classification":
        return
    alone = [name for name in card.clean_labels if not space.rivals(name, space.labels)]
    if alone:
        yield Finding(
            "error",
            f"labels: no wrong option can stand beside {_listed(alone)}, so nothing can be asked of such pictures; see "
            "is_a, same_as, overlaps and no_finding, or give more labels",
        )
        return
    offered = space.distractors[1]
    if offered < min(MOST_DISTRACTORS, len(card.clean_labels) - 1):
        yield Finding("note", f"labels: the relations leave room for {offered} wrong options beside each answer")


def questions(card: Card) -> Iterator[Finding]:
    """Looks at the questions that a source outside the published subsets brings."""
    if not card.instructions:
        return
    if len(card.instructions) < QUESTIONS_OF_A_CARD:
        yield Finding(
            "warning",
            f"instructions: {len(card.instructions)}; published subsets have {QUESTIONS_OF_A_CARD}, different in "
            "clinical content, see docs/questions.md",
        )
    if len({text.casefold() for text in card.instructions}) != len(card.instructions):
        yield Finding("error", "instructions: one stands twice")
    for text in [*card.instructions, *([card.presence] if card.presence else [])]:
        if not text.endswith("?"):
            yield Finding("error", f"{text!r} must end with a question mark")
        slots = text.count("{label}")
        if text != card.presence and slots != int(card.has_regions):
            wanted = "{label} once" if card.has_regions else "no {label}"
            yield Finding("error", f"instructions: {text!r}: kind {card.kind} needs {wanted}")
        if not card.has_regions and text != card.presence:
            for name in card.clean_labels:
                if re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE):
                    yield Finding("error", f"instructions: {text!r} names the label {name!r}")
    if card.presence is None:
        yield Finding("note", "presence: none, so nothing is asked with yes or no")


def rights(card: Card) -> Iterator[Finding]:
    """Says where licence, access and the right to pass on do not fit each other."""
    licence, right = card.licence, card.redistribution
    if len(licence.evidence.split()) < 2:
        yield Finding("warning", f"licence.evidence: {licence.evidence!r}; say who read what, where and when")
    if right == "images":
        if licence.spdx is None and licence.url is None:
            yield Finding("error", "redistribution: images needs a licence: licence.spdx, or licence.url of the terms")
        if licence.spdx is None and _UNSETTLED.match(licence.name):
            yield Finding(
                "error",
                f"redistribution: images, and the licence is {licence.name!r}; where it is not clear the right is "
                "annotations",
            )
        if licence.spdx and "-ND" in licence.spdx:
            yield Finding(
                "warning",
                f"redistribution: images under {licence.spdx}: without derivatives only unchanged pictures may be "
                "passed on, and metadata is dropped from all",
            )
        if card.access in ("credentialed", "request-form"):
            yield Finding(
                "error", f"redistribution: images, and access is {card.access}: an agreement stands before it"
            )
        if card.access == "competition-rules" and licence.spdx is None:
            yield Finding("error", "redistribution: images, and access is competition-rules: rules bind the pictures")
    elif right == "annotations":
        if card.access == "credentialed":
            yield Finding(
                "error", "redistribution: annotations, and access is credentialed: the agreement covers labels"
            )
        if licence.spdx and "-ND" not in licence.spdx:
            yield Finding(
                "warning",
                f"redistribution: annotations, and {licence.spdx} would allow pictures; evidence must say why not",
            )
    elif licence.spdx and card.access == "open" and "-ND" not in licence.spdx:
        yield Finding("warning", f"redistribution: none, and {licence.spdx} with open access would allow more")


def ledger(slug: str, path: Path, *, needed: bool) -> Iterator[Finding]:
    """Says whether the ledger names the source once.

    Args:
        slug: The source.
        path: The ledger.
        needed: The package's own ledger; a folder from outside may do without.
    """
    if not path.is_file():
        yield Finding(
            "error" if needed else "warning",
            f"no ledger: without one the order of admission is that of names, and a new source may move splits; "
            f"write {slug} into {path}",
        )
        return
    number = path.read_text(encoding="utf-8").split().count(slug)
    if number != 1:
        yield Finding(
            "error", f"names {slug} {number} times; it must be named once, at the end when it is new", path.name
        )


def code_lines(text: str) -> int:
    """Number of lines of a loader: neither blank, nor docstring, nor import.

    Raises:
        SyntaxError: If it is no Python.
    """
    tree = ast.parse(text)
    body = tree.body[1:] if ast.get_docstring(tree) is not None else tree.body
    begin = body[0].lineno if body else 0
    return sum(
        bool(line.strip()) and not line.startswith(("import ", "from "))
        for line in text.splitlines()[begin - 1 if begin else len(text) :]
    )


def loader(path: Path) -> Iterator[Finding]:
    """Reads a loader's code without running it.

    Raises:
        SyntaxError: If it is no Python.
    """
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    if not ast.get_docstring(tree):
        yield Finding("error", "no docstring: one line that names the release and its layout", path.name)
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    imported = {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assigned = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    if "samples" not in names | imported | assigned:
        yield Finding("error", "must define samples(raw), a generator of Sample", path.name)
    for node in ast.walk(tree):
        yield from _of_node(node, path.name)
    length = code_lines(text)
    if length > LONG_LOADER:
        yield Finding(
            "error" if length > LONGEST_LOADER else "warning",
            f"{length} lines of code; most loaders have under 25. Does a reader of med_mat.readers do some of it?",
            path.name,
        )


def _of_node(node: ast.AST, name: str) -> Iterator[Finding]:
    where = f"{name}:{getattr(node, 'lineno', 0)}"
    modules: list[str] = []
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        modules = [node.module or ""]
    for module in modules:
        root = module.partition(".")[0]
        if root in _CLOSED or (root != "med_mat" and root not in sys.stdlib_module_names):
            yield Finding(
                "error",
                f"imports {module}: a loader opens nothing itself; RawRoot finds files, med_mat.readers reads tables",
                where,
            )
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "print", "input"):
        yield Finding("error", f"calls {node.func.id}(); a loader only yields samples", where)
    if isinstance(node, ast.ExceptHandler):
        yield Finding(
            "warning", "catches an error: what a loader does not know must end in an error or an oddity", where
        )


def style(path: Path) -> Iterator[Finding]:
    """Runs ruff over a loader.

    Raises:
        FileNotFoundError: If ruff is not installed.
    """
    told = ruff(path, "check", "--output-format", "concise")
    if told is None:
        raise FileNotFoundError("ruff is not installed; `pip install ruff`")
    for line in told:
        yield Finding("error", line.removeprefix(f"{path.name}:"), path.name)
    if ruff(path, "format", "--check"):
        yield Finding("error", f"not formatted: `ruff format {path}`", path.name)


def ruff(path: Path, *arguments: str) -> list[str] | None:
    """Runs ruff over a file, with the configuration of its folder.

    Returns:
        What it complains of, line by line; None if it is not installed.
    """
    beside = Path(sys.executable).with_name("ruff")
    command = str(beside) if beside.is_file() else shutil.which("ruff")
    if command is None:
        return None
    # From elsewhere it would take the configuration of the current folder for a file that has none.
    done = subprocess.run(
        [command, *arguments, "--no-cache", "--quiet", path.name],
        capture_output=True,
        text=True,
        check=False,
        cwd=path.parent,
    )
    return (done.stdout or done.stderr or f"exit code {done.returncode}").splitlines() if done.returncode else []


def _folded(label: str) -> str:
    return re.sub(r"[^a-z0-9]", "", label.casefold()).removesuffix("s")


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(map(repr, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
