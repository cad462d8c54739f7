"""What the client processes of the tests do; each function runs in a process of its own."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
from PIL import Image
from tiny import registry_of

from med_mat.hub.push import PushResult, push
from med_mat.hub.verify import Verification, verify
from med_mat.hub.withdraw import Withdrawal, withdraw
from med_mat.registry import registry

EVERY = ["train", "validation", "test"]


def no_waiting(_: float) -> None:
    """Stands in for waiting: the loopback Hub needs none."""


def run_push(loaders: Path | None, build: Path, repo: str, **options: Any) -> PushResult:
    _quick()
    sources = registry_of(loaders) if loaders else registry()
    return push(sources, build, repo, sleep=no_waiting, **options)


def run_small_push(loaders: Path, build: Path, repo: str, *, files: int) -> PushResult:
    """A push whose commits hold few files, so that a small build takes several."""
    from med_mat.hub import upload

    upload.COMMIT_FILES = files
    return run_push(loaders, build, repo)


def run_withdraw(loaders: Path, slug: str, repo: str, **options: Any) -> Withdrawal:
    _quick()
    return withdraw(registry_of(loaders), slug, repo, sleep=no_waiting, **options)


def run_verify(repo: str, **options: Any) -> Verification:
    return verify(repo, **options)


def _quick() -> None:
    # The library waits a second and more between its own attempts.
    import time

    time.sleep = no_waiting


def read(repo: str, config: str | None = None, *, streaming: bool = False, revision: str | None = None) -> Any:
    """Loads a config and gives, by split, each row's id, answer and the hash of its pixels (None without)."""
    parts = datasets.load_dataset(repo, config, streaming=streaming, revision=revision)
    return {
        split: sorted((row["id"], row["answer"], _pixels(row["image"])) for row in part)
        for split, part in parts.items()
    }


def load_with_raw(repo: str, loaders: Path, raw: dict[str, Path], *, streaming: bool) -> Any:
    """Loads ``everything`` and fills what lacks pixels from the reader's own downloads, as ``read`` gives it."""
    import med_mat

    parts = med_mat.load("everything", dataset=repo, raw=raw, loaders=[loaders], streaming=streaming)
    return {
        split: sorted((row["id"], row["answer"], _pixels(row["image"])) for row in part)
        for split, part in parts.items()
    }


def _pixels(image: Image.Image | None) -> str | None:
    return None if image is None else hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()


def read_configs(repo: str, configs: Sequence[str], *, streaming: bool = False) -> dict[str, int]:
    """Loads configs one after the other; gives their numbers of rows."""
    found = {}
    for config in configs:
        parts = datasets.load_dataset(repo, config, streaming=streaming)
        found[config] = sum(sum(1 for _ in part.select_columns(["id"])) for part in parts.values())
    return found


def read_ids(repo: str, config: str, *, streaming: bool = False) -> dict[str, list[str]]:
    """Loads a config; gives the ids of each split."""
    parts = datasets.load_dataset(repo, config, streaming=streaming)
    return {split: [row["id"] for row in part.select_columns(["id"])] for split, part in parts.items()}


def config_names(repo: str) -> list[str]:
    return datasets.get_dataset_config_names(repo)


def download(repo: str, path: str, revision: str | None = None) -> str:
    return Path(huggingface_hub.hf_hub_download(repo, path, repo_type="dataset", revision=revision)).read_text()


def run_command(*arguments: str) -> tuple[int, str, str]:
    """Runs the ``med-mat`` command; gives its exit code and what it printed."""
    import contextlib
    import sys

    from med_mat.cli import main

    out, err = io.StringIO(), io.StringIO()
    code = 0
    sys.argv = ["med-mat", *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()
