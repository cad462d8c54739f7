"""Configs: which there are, and which files each has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st
from tiny import make_card

from med_mat.card import Card
from med_mat.configs import DEFAULT, EVERYTHING, Config, config_names, configs, is_disputed, settled_splits, shard_path

SPLITS = ("train", "validation", "test")


def test_a_source_has_the_config_of_its_published_subset_and_of_its_true_triplet() -> None:
    card = make_card("tiny", subset="32", modality="mri", anatomy="brain")
    assert config_names(card) == ["tiny", "subset_32", "modality_mri", "anatomy_brain"]
    outside = make_card("outside", subset=None, instructions=["What is it?"])
    assert config_names(outside) == ["outside", "modality_ct", "anatomy_kidney"]


def test_shards_are_named_as_datasets_names_them() -> None:
    assert shard_path("tiny", "train", 3, 12) == "data/tiny/train-00003-of-00012.parquet"
    assert shard_path("tiny", "test", 0, 1, disputed=True) == "data/tiny/test-disputed-00000-of-00001.parquet"
    for split in SPLITS:
        assert is_disputed(shard_path("disputed-", split, 0, 1, disputed=True))
        assert not is_disputed(shard_path("disputed-", split, 0, 1))


@dataclass(frozen=True)
class Built:
    """Cards with the splits in which they have rows: some in all, some in disputed shards alone."""

    sources: list[tuple[Card, list[str]]]
    settled: dict[str, list[str]]
    disputed: dict[str, list[str]]
    with_pixels: set[str] | None

    def configs(self, sources: list[tuple[Card, list[str]]] | None = None) -> list[Config]:
        return configs(self.sources if sources is None else sources, with_pixels=self.with_pixels, settled=self.settled)

    def files(self) -> Iterator[tuple[Card, str, str]]:
        for card, splits in self.sources:
            for split in splits:
                settled = split in self.settled.get(card.slug, splits)
                for disputed in [False] * settled + [True] * (split in self.disputed[card.slug]):
                    for shard in (0, 1):
                        yield card, split, shard_path(card.slug, split, shard, 2, disputed=disputed)


@st.composite
def built(draw: st.DrawFn) -> Built:
    base = make_card()
    sources, settled, disputed = [], {}, {}
    for number in range(draw(st.integers(0, 5))):
        changes = {
            "slug": f"s{number}",
            "subset": draw(st.sampled_from(["02", "22", "31"])),
            "modality": draw(st.sampled_from(["ct", "mri"])),
            "anatomy": draw(st.sampled_from(["kidney", "brain"])),
        }
        splits = [split for split in SPLITS if draw(st.booleans())]
        sources.append((base.model_copy(update=changes), splits))
        if draw(st.booleans()):
            settled[f"s{number}"] = [split for split in splits if draw(st.booleans())]
        alone = set(splits) - set(settled.get(f"s{number}", splits))
        disputed[f"s{number}"] = [split for split in splits if split in alone or draw(st.booleans())]
    slugs = [card.slug for card, _ in sources]
    return Built(sources, settled, disputed, draw(st.none() | st.sets(st.sampled_from(slugs)) if slugs else st.none()))


@given(built())
def test_each_config_takes_in_the_shards_of_its_sources_and_no_other(case: Built) -> None:
    listed = case.configs()
    files = list(case.files())

    def taken(config: Config) -> set[tuple[str, str]]:
        return {
            (split, path)
            for split, globs in config.globs.items()
            for glob in globs
            for _, _, path in files
            if fnmatchcase(path, glob)
        }

    def expected(name: str) -> set[tuple[str, str]]:
        return {
            (split, path)
            for card, split, path in files
            if name in (EVERYTHING, card.slug)
            or (
                not is_disputed(path)
                and (
                    (name == DEFAULT and (case.with_pixels is None or card.slug in case.with_pixels))
                    or name in config_names(card)
                )
            )
        }

    names = {DEFAULT, EVERYTHING} | {name for card, _ in case.sources for name in config_names(card)}
    assert {config.name: taken(config) for config in listed} == {
        name: expected(name) for name in names if expected(name)
    }
    order = [config.name for config in listed]
    assert order == sorted(order, key=lambda name: (name != DEFAULT, name != EVERYTHING, name))
    for config in listed:
        for globs in config.globs.values():
            assert len(set(globs)) == len(globs)
            # No file is in a config twice, and no glob is in vain.
            assert all(sum(fnmatchcase(path, glob) for glob in globs) <= 1 for _, _, path in files)
            assert all(any(fnmatchcase(path, glob) for _, _, path in files) for glob in globs)


@given(built())
def test_splits_stand_in_their_usual_order(case: Built) -> None:
    backwards = [(card, sorted(splits)) for card, splits in case.sources]
    for config in case.configs(backwards):
        assert list(config.globs) == [split for split in SPLITS if split in config.globs]
    assert case.configs(backwards) == case.configs()


def test_a_split_is_settled_if_not_all_its_rows_are_disputed() -> None:
    entry = {"splits": {"train": 5, "validation": 2, "test": 1}}
    assert settled_splits(entry) == ["train", "validation", "test"]
    assert settled_splits({**entry, "disputed": {"splits": {"train": 4, "test": 1}, "rows": []}}) == [
        "train",
        "validation",
    ]
