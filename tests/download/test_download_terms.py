"""Terms, what is left to a person, and places that are closed to programs."""

from __future__ import annotations

import json

import pytest
from loopback import Loopback, Served
from sandbox import Sandbox, zipped

from med_mat.card import Card
from med_mat.download.errors import DownloadError, TermsError
from med_mat.download.run import Options


def simple(sandbox: Sandbox, slug: str = "tiny", **fields: object) -> None:
    address = sandbox.url(f"{slug}.bin", Served(slug.encode()))
    sandbox.source({"platform": "url", "files": [{"url": address}]}, slug=slug, **fields)


def test_without_accepted_terms_nothing_is_fetched(sandbox: Sandbox, internet: Loopback) -> None:
    simple(sandbox)
    simple(sandbox, "other")
    with pytest.raises(TermsError, match="--accept tiny") as caught:
        sandbox.get("tiny", "other", accept=["other"])
    assert "CC0" in str(caught.value)
    assert "--accept other" not in str(caught.value)
    assert internet.asked == []


def test_terms_are_accepted_once(sandbox: Sandbox) -> None:
    simple(sandbox)
    sandbox.get()
    (sandbox.raw / "tiny/tiny.bin").unlink()
    assert sandbox.one(accept=()).fetched == ("tiny.bin",)


def test_other_terms_are_asked_for_again(sandbox: Sandbox) -> None:
    simple(sandbox)
    sandbox.get()
    simple(sandbox, licence={"name": "a licence that is stricter now", "evidence": "its page"})
    with pytest.raises(TermsError, match="stricter now"):
        sandbox.get(accept=())


def test_sources_that_read_one_download_have_terms_of_their_own(sandbox: Sandbox) -> None:
    simple(sandbox)
    sandbox.source(slug="tiny_seg", download_of="tiny")
    sandbox.get("tiny")
    with pytest.raises(TermsError, match="tiny_seg"):
        sandbox.get("tiny_seg", accept=())


def test_a_person_is_asked(sandbox: Sandbox) -> None:
    simple(sandbox)
    asked: list[str] = []

    def no(card: Card) -> bool:
        asked.append(card.slug)
        return False

    with pytest.raises(TermsError):
        sandbox.get(accept=(), ask=no)
    assert sandbox.get(accept=(), ask=lambda _: True)[0].state == "complete"
    assert sandbox.get(accept=(), ask=no)[0].state == "complete"
    assert asked == ["tiny"]


def test_an_unknown_slug_cannot_be_accepted(sandbox: Sandbox) -> None:
    simple(sandbox)
    with pytest.raises(KeyError, match="tiyn"):
        sandbox.get("tiny", accept=["tiyn"])


def test_a_damaged_record_is_told(sandbox: Sandbox) -> None:
    simple(sandbox)
    sandbox.get()
    (sandbox.raw / ".med-mat/downloads/tiny.json").write_text("{")
    with pytest.raises(DownloadError, match="not a record of downloads"):
        sandbox.get()


FORM = {
    "platform": "manual",
    "url": "https://form.example.org/",
    "steps": ["Sign the agreement", "Wait for the mail"],
    "files": ["data*.zip"],
}


def test_where_a_form_stands_before_it_the_steps_are_told(sandbox: Sandbox, internet: Loopback) -> None:
    sandbox.source(FORM, access="request-form")
    outcome = sandbox.one()
    assert outcome.state == "todo"
    assert outcome.todo[:3] == ("Open https://form.example.org/", "Sign the agreement", "Wait for the mail")
    assert f"Put data*.zip into {sandbox.raw / 'tiny'}" in outcome.todo[3]
    assert internet.asked == []
    # An empty raw root would be taken for a download.
    assert not (sandbox.raw / "tiny").exists()


def test_what_a_person_put_there_is_verified_and_recorded(sandbox: Sandbox) -> None:
    sandbox.source(FORM, access="request-form")
    sandbox.get()
    archive = sandbox.raw / "tiny/Data-v2.zip"
    archive.parent.mkdir()
    archive.write_bytes(zipped({"a.png": b"a"}))
    assert sandbox.one().state == "complete"
    record = json.loads((sandbox.raw / ".med-mat/downloads/tiny.json").read_text())
    assert record["files"]["Data-v2.zip"]["origin"] == "by hand"
    assert record["files"]["Data-v2.zip"]["checked"] == "archive"
    archive.write_bytes(zipped({"a.png": b"b"}))
    assert "has changed since it was recorded" in str(sandbox.one(options=Options(check=True)).error)


def test_what_a_person_took_from_another_place_stays_taken(sandbox: Sandbox, internet: Loopback) -> None:
    sandbox.source(
        {"platform": "url", "files": [{"url": "https://data.example.org/gone.bin"}]}, {**FORM, "alternative": True}
    )
    archive = sandbox.raw / "tiny/data.zip"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(zipped({"a.png": b"a"}))
    assert sandbox.one(options=Options(choose=2)).state == "complete"
    assert sandbox.one().state == "complete"
    assert internet.asked == []


def test_what_a_person_put_there_may_be_broken(sandbox: Sandbox) -> None:
    sandbox.source(FORM, access="request-form")
    archive = sandbox.raw / "tiny/data.zip"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(zipped({"a.png": b"a"})[:-30])
    assert "is no zip archive" in str(sandbox.one().error)


def test_a_download_of_which_a_part_needs_a_person(sandbox: Sandbox) -> None:
    table = sandbox.url("table.csv", Served(b"file,label\n"))
    sandbox.source({"platform": "url", "files": [{"url": table}]}, FORM)
    outcome = sandbox.one()
    assert (outcome.state, outcome.fetched) == ("todo", ("table.csv",))
    (sandbox.raw / "tiny/data.zip").write_bytes(zipped({"a.png": b"a"}))
    outcome = sandbox.one()
    assert (outcome.state, outcome.present) == ("complete", ("data.zip", "table.csv"))


def test_a_card_without_places_says_how(sandbox: Sandbox) -> None:
    sandbox.source()
    outcome = sandbox.one()
    assert outcome.state == "todo"
    assert outcome.todo[0].startswith("Ask for it.")
