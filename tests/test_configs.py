"""Configs: which there are, and which files each has."""

from __future__ import annotations

from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st
from tiny import make_card

from med_mat.card import Card
from med_mat.configs import DEFAULT, EVERYTHING, Config, config_names, configs, shard_path

SPLITS = ("train", "validation", "test")


def test_a_source_has_the_config_of_its_published_subset_and_of_its_true_triplet() -> None:
    card = make_card("tiny", subset="32", modality="mri", anatomy="brain")
    assert config_names(card) == ["tiny", "subset_32", "modality_mri", "anatomy_brain"]
    outside = make_card("outside", subset=None, instructions=["What is it?"])
    assert config_names(outside) == ["outside", "modality_ct", "anatomy_kidney"]


def test_shards_are_named_as_datasets_names_them() -> None:
    assert shard_path("tiny", "train", 3, 12) == "data/tiny/train-00003-of-00012.parquet"


@st.composite
def built(draw: st.DrawFn) -> tuple[list[tuple[Card, list[str]]], set[str] | None]:
    base = make_card()
    sources = []
    for number in range(draw(st.integers(0, 5))):
        changes = {
            "slug": f"s{number}",
            "subset": draw(st.sampled_from(["02", "22", "31"])),
            "modality": draw(st.sampled_from(["ct", "mri"])),
            "anatomy": draw(st.sampled_from(["kidney", "brain"])),
        }
        splits = [split for split in SPLITS if draw(st.booleans())]
        sources.append((base.model_copy(update=changes), splits))
    slugs = [card.slug for card, _ in sources]
    return sources, draw(st.none() | st.sets(st.sampled_from(slugs)) if slugs else st.none())


@given(built())
def test_each_config_takes_in_the_shards_of_its_sources_and_no_other(
    case: tuple[list[tuple[Card, list[str]]], set[str] | None],
) -> None:
    sources, with_pixels = case
    listed = configs(sources, with_pixels=with_pixels)
    files = [
        (card, split, shard_path(card.slug, split, shard, 2))
        for card, splits in sources
        for split in splits
        for shard in (0, 1)
    ]

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
            if name == EVERYTHING
            or (name == DEFAULT and (with_pixels is None or card.slug in with_pixels))
            or name in config_names(card)
        }

    names = {DEFAULT, EVERYTHING} | {name for card, _ in sources for name in config_names(card)}
    assert {config.name: taken(config) for config in listed} == {
        name: expected(name) for name in names if expected(name)
    }
    order = [config.name for config in listed]
    assert order == sorted(order, key=lambda name: (name != DEFAULT, name != EVERYTHING, name))
    for config in listed:
        for globs in config.globs.values():
            assert len(set(globs)) == len(globs)
            # No file is in a config twice.
            assert all(sum(fnmatchcase(path, glob) for glob in globs) <= 1 for _, _, path in files)


@given(built())
def test_splits_stand_in_their_usual_order(case: tuple[list[tuple[Card, list[str]]], set[str] | None]) -> None:
    sources, with_pixels = case
    backwards = [(card, sorted(splits)) for card, splits in sources]
    for config in configs(backwards, with_pixels=with_pixels):
        assert list(config.globs) == [split for split in SPLITS if split in config.globs]
    assert configs(backwards, with_pixels=with_pixels) == configs(sources, with_pixels=with_pixels)
