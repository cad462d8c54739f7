"""What the package never does with a file of a download, shown on its own source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from med_mat.vocabulary import load_yaml

ROOT = Path(__file__).parent.parent.parent
CODE = sorted(path for name in ("med_mat", "loaders", "baselines") for path in (ROOT / name).rglob("*.py"))

# Modules that run what they read, or run programs on it.
MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "scipy.io",
    "h5py",
    "code",
    "codeop",
}
NAMES = {"eval", "exec", "compile", "__import__"}
# Calls by their last name; numpy's load and pandas' read_pickle unpickle, extractall follows hostile names.
ATTRIBUTES = {
    "read_pickle": "unpickles",
    "loadmat": "unpickles",
    "loads_pickle": "unpickles",
    "unsafe_load": "runs YAML tags",
    "full_load": "runs YAML tags",
    "extract": "follows names in archives",
    "extractall": "follows names in archives",
    "unpack_archive": "follows names in archives",
    "system": "runs a shell",
    "popen": "runs a shell",
    "mktemp": "leaves room for a race",
}


def faults(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found = {name.name for name in names} & MODULES
            case ast.ImportFrom(module=str(module), names=names):
                found = {module, *(f"{module}.{name.name}" for name in names)} & MODULES
            case ast.Call(func=ast.Name(id=name)):
                found = {name} & NAMES
            case ast.Call(func=ast.Attribute(attr=name, value=ast.Name(id="np" | "numpy"))):
                found = {name} & {"load", "fromfile", "memmap"}
            case ast.Call(func=ast.Attribute(attr="load", value=ast.Name(id="torch"))):
                weights = [word.value for word in node.keywords if word.arg == "weights_only"]
                found = set() if any(isinstance(value, ast.Constant) and value.value for value in weights) else {"load"}
            case ast.Call(func=ast.Attribute(attr=name)):
                found = {name} & ATTRIBUTES.keys()
            case _:
                continue
        if isinstance(node, ast.Call):
            found |= {"shell=True" for word in node.keywords if word.arg == "shell"}
            found |= {"allow_pickle" for word in node.keywords if word.arg == "allow_pickle"}
        for name in found:
            yield node.lineno, name


def test_nothing_of_a_download_is_unpickled_run_or_unpacked_in_place() -> None:
    assert CODE
    found = {
        f"{path.relative_to(ROOT)}:{line}": name
        for path in CODE
        for line, name in faults(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from scipy import io",
        "from scipy.io import loadmat",
        "np.load(path)",
        "numpy.load(path, allow_pickle=True)",
        "open_array(path, allow_pickle=True)",
        "frame = pandas.read_pickle(path)",
        "archive.extractall(folder)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
        "torch.load(path)",
        "yaml.unsafe_load(text)",
    ],
)
def test_the_search_finds_what_it_looks_for(text: str) -> None:
    assert list(faults(ast.parse(text)))


def test_cards_and_questions_are_read_as_plain_yaml() -> None:
    for text in (
        "!!python/object/apply:os.getcwd []",
        "!!python/name:os.system",
        "!!python/object:med_mat.card.Card {}",
    ):
        with pytest.raises(yaml.YAMLError, match="could not determine a constructor"):
            load_yaml(text)
