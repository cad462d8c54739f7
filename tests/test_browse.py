"""Browsing: which rows are found, what is read for them, and the page as a browser and a client see it."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny import LABELS, Row, add_source, med_mat, plain_rows, registry_of, write_raw

from med_mat.browse import facts, more_questions, page, picture, regions
from med_mat.build import build
from med_mat.errors import LayoutError, MedMatError
from med_mat.report.dataset import ALL, Choice, Dataset, Found, open_dataset
from med_mat.report.shards import Shards

sys.path.insert(0, str(Path(__file__).parent / "hub"))

from hub_server.app import TOKEN, HubServer

if TYPE_CHECKING:
    from gradio_client import Client


def client_of(url: str) -> Client:
    # Every process of the suite imports this file, and Gradio takes seconds: only who runs these tests needs it.
    from gradio_client import Client

    return Client(url, verbose=False)


class CountingFiles(LocalFileSystem):
    """Local files, with a note of what was opened."""

    cachable = False
    seen: list[str]

    def _open(self, path: str, *arguments: Any, **options: Any) -> Any:
        self.__dict__.setdefault("seen", []).append(path)
        return super()._open(path, *arguments, **options)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browse")
    add_source(folder / "loaders", "one")
    add_source(folder / "loaders", "two", kind="multilabel", presence="Is there {label}?", redistribution="annotations")
    add_source(folder / "loaders", "other", subset="06", anatomy="brain")
    write_raw(folder / "raw" / "one", plain_rows(240), size=(40, 30))
    names = list(LABELS)
    several = [Row(f"several {n}.png", "|".join(names[: 1 + n % 3]), age="61") for n in range(30)]
    write_raw(folder / "raw" / "two", several)
    write_raw(folder / "raw" / "other", [Row(f"other {n}.png", names[n % 2]) for n in range(12)])
    build(registry_of(folder / "loaders"), folder / "raw", folder / "med-mat", shard_bytes=60_000)
    return folder


@pytest.fixture(scope="module")
def dataset(built: Path) -> Dataset:
    return open_dataset(str(built / "med-mat"), registry_of(built / "loaders"))


def stored(built: Path) -> list[dict[str, Any]]:
    shards = sorted((built / "med-mat" / "data").glob("*/*.parquet"))
    return [{**row, "split": path.name.split("-")[0]} for path in shards for row in pq.read_table(path).to_pylist()]


def test_configs_are_those_of_the_build(dataset: Dataset) -> None:
    assert next(iter(dataset.configs)) == "everything"
    assert list(dataset.configs["subset_02"]) == ["one", "two"]
    assert {"one", "two", "other", "subset_06", "modality_ct", "anatomy_brain"} < set(dataset.configs)
    assert dataset.labels("other") == ["kidney cyst", "kidney stone"]
    assert dataset.splits("one") == ["train", "test"]
    assert dataset.rights == {"one": "images", "two": "annotations", "other": "images"}


@pytest.mark.parametrize("config", ["everything", "subset_02", "two", "anatomy_brain"])
@pytest.mark.parametrize("label", [ALL, "kidney stone", "kidney tumor"])
@pytest.mark.parametrize("split", [ALL, "train", "test"])
def test_paging_gives_every_row_of_a_choice_once(
    dataset: Dataset, built: Path, config: str, label: str, split: str
) -> None:
    expected = {
        row["id"]
        for row in stored(built)
        if row["source"] in dataset.configs[config]
        and (label == ALL or label in row["labels"])
        and split in (ALL, row["split"])
    }
    choice = Choice(config, label, split)
    total = dataset.find(choice).total
    assert total == len(expected)
    step = max(total // 20, 1)
    seen = [dataset.row(choice, number) for number in range(0, total, step)]
    assert {row["id"] for row in seen} <= expected
    assert len({row["id"] for row in seen}) == len(seen)
    assert all(split in (ALL, row["split"]) for row in seen)
    with pytest.raises(IndexError):
        dataset.row(choice, total)


@given(
    st.lists(st.one_of(st.integers(0, 5), st.lists(st.integers(0, 9), max_size=4, unique=True).map(sorted)), max_size=6)
)
def test_places_are_counted_across_shards(shards: list[int | list[int]]) -> None:
    lists = [list(range(places)) if isinstance(places, int) else places for places in shards]
    found = Found(
        tuple((str(n), places if isinstance(places, int) else np.array(places, int)) for n, places in enumerate(shards))
    )
    flat = [(str(n), place) for n, places in enumerate(lists) for place in places]
    assert found.total == len(flat)
    assert [found.place(number) for number in range(found.total)] == flat


def test_only_what_is_looked_at_is_read(dataset: Dataset) -> None:
    files = CountingFiles()
    counted = Dataset("counted", Shards(files, dataset.shards.base, dataset.shards.manifest), dataset.configs, {})
    assert len(dataset.shards.of("one")) > 3
    assert counted.find(Choice("everything")).total == 282
    assert "seen" not in vars(files)
    counted.row(Choice("one"), 100)
    assert len(files.seen) == 1
    counted.find(Choice("other", "kidney cyst", "train"))
    assert {Path(path).parent.name for path in files.seen[1:]} == {"other"}


def test_regions_are_drawn_where_the_row_has_them() -> None:
    mask = np.zeros((60, 80), np.uint8)
    mask[10:40, 20:50] = 2
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG")
    row = {
        "mask": {"bytes": stream.getvalue()},
        "mask_labels": ["organ", "tumor"],
        "objects": [
            {"label": "cyst", "bbox": [0.5, 0.5, 1.0, 1.0]},
            {"label": "tumor", "bbox": [0.25, 0.25, 0.5, 0.5]},
        ],
    }
    layers = {label: layer for layer, label in regions(row, (80, 60))}
    assert set(layers) == {"tumor", "cyst"}
    assert (layers["cyst"] > 0).sum() == 2 * 40 + 2 * 28
    assert layers["cyst"][30, 40] == layers["cyst"][59, 79] == 1
    assert layers["cyst"][45, 60] == 0
    tumor = layers["tumor"]
    assert tumor[10, 20] == tumor[39, 49] == 1
    assert 0 < tumor[12, 30] < 1
    assert not tumor[(mask == 0) & (layers["tumor"] < 1)].any()
    assert tumor[15, 25] == 1, "the frame of the box"
    smaller = {label: layer for layer, label in regions(row, (40, 30))}
    assert smaller["tumor"].shape == (30, 40)
    tiny = {**row, "mask": None, "objects": [{"label": "dot", "bbox": [0.0, 0.0, 0.01, 0.01]}]}
    assert regions(tiny, (80, 60))[0][0].sum() == 1


def test_a_row_is_told_in_words(dataset: Dataset) -> None:
    row = dataset.row(Choice("two"), 0)
    told = dict(facts(row))
    assert told["source"] == "two"
    assert told["age"] == "61.0"
    assert told["licence"] == "CC0-1.0"
    assert told["split"] == row["split"]
    assert not {"sex", "frame", "image", "question", "options", "labels"} & set(told)
    assert [line[1] for line in more_questions(row)] == [one["question"] for one in row["more_questions"]]
    shown = picture(row)
    assert shown is not None
    assert (shown.mode, shown.size) == ("RGB", (row["width"], row["height"]))
    assert picture({**row, "image": None}) is None


@pytest.fixture(scope="module")
def served(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        blocks = page(dataset)
        _, url, _ = blocks.launch(prevent_thread_lock=True, server_name="127.0.0.1", quiet=True)
        yield url
        blocks.close()


def test_the_page_shows_a_row_to_a_client(served: str, dataset: Dataset) -> None:
    client = client_of(served)
    narrowed = client.predict("two", api_name="/choose")
    assert [choice[0] for choice in narrowed[0]["choices"]] == [ALL, *dataset.labels("two")]
    assert [choice[0] for choice in narrowed[1]["choices"]] == [ALL, *dataset.splits("two")]
    row = dataset.row(Choice("two", "kidney stone", "train"), 2)
    status, image, labels, question, options, answer, asked, told = client.predict(
        "two", "kidney stone", "train", 3, api_name="/show"
    )
    total = dataset.find(Choice("two", "kidney stone", "train")).total
    assert status == f"Row 3 of {total}. **Its picture may not be passed on.**"
    assert labels == ", ".join(row["labels"])
    assert (question, answer) == (row["question"], row["answer"])
    assert [line[3:] for line in options["value"].splitlines()] == row["options"]
    assert asked["data"] == more_questions(row)
    assert told["data"] == facts(row)
    expected = picture(row)
    assert expected is not None
    with Image.open(image["value"]["image"]) as shown:
        assert (np.asarray(shown.convert("RGB")) == np.asarray(expected)).all()


def test_a_choice_without_rows_and_a_number_beyond_the_last(served: str) -> None:
    client = client_of(served)
    assert client.predict("other", "kidney tumor", ALL, 1, api_name="/show")[0] == "No row fits."
    assert client.predict("other", ALL, ALL, 999, api_name="/show")[0] == "Row 12 of 12"


def test_the_page_is_served_on_this_machine_alone(served: str) -> None:
    with urllib.request.urlopen(f"{served}config") as answer:
        config = json.load(answer)
    assert config["analytics_enabled"] is False
    assert not config.get("share_url")
    assert served.startswith("http://127.0.0.1:")


def test_what_cannot_be_opened_is_said(tmp_path: Path, built: Path) -> None:
    registry = registry_of(built / "loaders")
    with pytest.raises(LayoutError, match=r"manifest\.json"):
        open_dataset(str(tmp_path), registry)
    (tmp_path / "manifest.json").write_text(json.dumps({"sources": {}}), encoding="utf-8")
    with pytest.raises(MedMatError, match="has no rows"):
        open_dataset(str(tmp_path), registry)
    done = med_mat("browse", tmp_path, "--no-window")
    assert done.returncode == 2
    assert "has no rows" in done.stderr


def test_the_command_serves_until_it_is_stopped_and_leaves_nothing_behind(built: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("med-mat"), "browse", built / "med-mat", "--loaders", built / "loaders"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([*command, "--no-window", "--port", str(port)], env=environment, text=True) as process:
        try:
            client = _when_ready(f"http://127.0.0.1:{port}/", process)
            assert client.predict("one", ALL, ALL, 5, api_name="/show")[0] == "Row 5 of 240"
            assert list(tmp_path.glob("med-mat-browse-*/*"))
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
        finally:
            process.kill()
    assert not list(tmp_path.glob("med-mat-browse-*"))


def _when_ready(url: str, process: subprocess.Popen[str]) -> Client:
    while process.poll() is None:
        try:
            urllib.request.urlopen(url).close()
        except OSError:
            time.sleep(0.2)
        else:
            return client_of(url)
    pytest.fail(f"the command ended with {process.returncode}")


HUB = """
import json, sys
from huggingface_hub import HfApi
from med_mat.registry import Registry
from med_mat.errors import MedMatError
from med_mat.report.dataset import Choice, open_dataset

folder = sys.argv[1]
api = HfApi()
api.create_repo("ORG/med-mat", repo_type="dataset")
api.upload_folder(repo_id="ORG/med-mat", repo_type="dataset", folder_path=folder, ignore_patterns=".med-mat/**")
api.create_tag("ORG/med-mat", repo_type="dataset", tag="v1")
dataset = open_dataset("ORG/med-mat", Registry({}), revision="v1")
rows = [dataset.row(Choice("other", "kidney cyst"), number) for number in range(6)]
try:
    open_dataset("ORG/nothing", Registry({}))
except MedMatError as error:
    refusal = str(error)
print(json.dumps([list(dataset.configs), [row["id"] for row in rows], len(rows[0]["image"]["bytes"]), refusal]))
"""


def test_a_dataset_on_the_hub_is_read_where_it_is(built: Path, tmp_path: Path) -> None:
    server = HubServer(tmp_path / "hub")
    environment = {
        **os.environ,
        "HF_ENDPOINT": server.url,
        "HF_TOKEN": TOKEN,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": str(Path(__file__).parent),
    }
    done = subprocess.run(
        [sys.executable, "-c", HUB, built / "med-mat"], env=environment, capture_output=True, text=True, check=False
    )
    server.close()
    assert done.returncode == 0, done.stderr
    configs, ids, size, refusal = json.loads(done.stdout.splitlines()[-1])
    assert configs == ["everything", "one", "other", "two"]
    assert len(set(ids)) == 6
    assert set(ids) == {
        row["id"] for row in stored(built) if row["source"] == "other" and "kidney cyst" in row["labels"]
    }
    assert size > 0
    assert "ORG/nothing" in refusal


def test_gradio_is_asked_for_by_name_when_it_is_absent(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    import gradio

    assert gradio.__name__ in sys.modules
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(MedMatError, match=r"med-mat\[browse\]"):
        page(dataset)
