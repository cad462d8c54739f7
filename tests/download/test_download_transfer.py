"""One file: goes on where it stopped, waits when asked to, keeps nothing that is wrong."""

from __future__ import annotations

import hashlib
import json
import shutil
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import Loopback, Reply, Served, http_date
from sandbox import Sandbox, zipped

from med_mat.card import Place
from med_mat.download.places import remotes
from med_mat.download.run import Options
from med_mat.download.transfer import PIECE, Policy, fetch

DATA = hashlib.shake_128(b"a file").digest(300_000)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def plain(sandbox: Sandbox, served: Served, **known: object) -> Served:
    """The one file of the one source."""
    address = sandbox.url("files/pictures.bin", served)
    sandbox.source({"platform": "url", "files": [{"url": address, **known}]})
    return served


def lock(sandbox: Sandbox) -> dict[str, object]:
    found: dict[str, object] = json.loads((sandbox.raw / ".med-mat/downloads/tiny.json").read_text())
    return found


def test_a_file_comes_and_is_recorded(sandbox: Sandbox) -> None:
    plain(sandbox, Served(DATA))
    outcome = sandbox.one()
    assert (outcome.state, outcome.fetched) == ("complete", ("pictures.bin",))
    assert sandbox.files() == {"pictures.bin": DATA}
    assert lock(sandbox)["files"] == {
        "pictures.bin": {
            "bytes": len(DATA),
            "sha256": sha256(DATA),
            "origin": "https://data.example.org/files/pictures.bin",
            "checked": "none",
        }
    }


def test_what_is_there_is_not_asked_for_again(sandbox: Sandbox, internet: Loopback) -> None:
    plain(sandbox, Served(DATA))
    sandbox.get()
    asked = len(internet.asked)
    outcome = sandbox.one()
    assert (outcome.state, outcome.fetched, outcome.present) == ("complete", (), ("pictures.bin",))
    assert len(internet.asked) == asked


def test_a_file_that_the_card_has_learnt_of_since_is_fetched(sandbox: Sandbox) -> None:
    first, second = (sandbox.url(name, Served(name.encode())) for name in ("a.csv", "b.csv"))
    sandbox.source({"platform": "url", "files": [{"url": first}]})
    sandbox.get()
    sandbox.source({"platform": "url", "files": [{"url": first}, {"url": second}]})
    outcome = sandbox.one()
    assert (outcome.fetched, outcome.present) == (("b.csv",), ("a.csv",))


def test_two_downloads_leave_equal_records(sandbox: Sandbox) -> None:
    plain(sandbox, Served(DATA))
    sandbox.get()
    first = (sandbox.raw / ".med-mat/downloads/tiny.json").read_bytes()
    (sandbox.raw / "tiny/pictures.bin").unlink()
    sandbox.get()
    assert (sandbox.raw / ".med-mat/downloads/tiny.json").read_bytes() == first


def test_a_broken_connection_is_taken_up_where_it_broke(sandbox: Sandbox, internet: Loopback) -> None:
    plain(sandbox, Served(DATA, [2 * PIECE + 500, PIECE]))
    assert sandbox.one().state == "complete"
    assert sandbox.files() == {"pictures.bin": DATA}
    ranges = [request.headers.get("range") for request in internet.asked]
    assert ranges[0] is None
    assert [int(str(found).removeprefix("bytes=").removesuffix("-")) for found in ranges[1:]] == [2 * PIECE, 3 * PIECE]
    assert internet.asked[1].headers["if-range"] == '"one"'


def test_the_next_run_goes_on_where_this_one_stopped(sandbox: Sandbox, internet: Loopback) -> None:
    plain(sandbox, Served(DATA, [100_000]))
    outcome = sandbox.one(policy=Policy(retries=0, keep_free=0))
    assert outcome.state == "failed"
    assert sandbox.files() == {}
    assert sandbox.one().state == "complete"
    assert internet.asked[-1].headers["range"] == f"bytes={PIECE}-"
    assert sandbox.files() == {"pictures.bin": DATA}


def test_a_file_that_changed_meanwhile_is_fetched_whole(sandbox: Sandbox) -> None:
    served = plain(sandbox, Served(DATA, [100_000]))
    sandbox.one(policy=Policy(retries=0, keep_free=0))
    served.data, served.etag = b"another release", '"two"'
    assert sandbox.one().state == "complete"
    assert sandbox.files() == {"pictures.bin": b"another release"}


def test_a_server_without_ranges_starts_afresh(sandbox: Sandbox) -> None:
    plain(sandbox, Served(DATA, [100_000], ranges=False))
    assert sandbox.one().state == "complete"
    assert sandbox.files() == {"pictures.bin": DATA}


def test_a_splice_of_two_releases_is_found_by_the_checksum_and_fetched_anew(sandbox: Sandbox) -> None:
    new = bytes(reversed(DATA))
    # A server that says nothing of versions answers ranges of whatever it has now.
    served = plain(sandbox, Served(DATA, [100_000], etag=None), sha256=sha256(new))
    sandbox.one(policy=Policy(retries=0, keep_free=0))
    served.data = new
    assert sandbox.one().state == "complete"
    assert sandbox.files() == {"pictures.bin": new}


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 60_000), max_size=6), ranges=st.booleans())
def test_wherever_connections_break_the_bytes_are_those_of_the_server(
    sandbox: Sandbox, cuts: list[int], ranges: bool
) -> None:
    plain(sandbox, Served(DATA, list(cuts), ranges=ranges))
    (sandbox.raw / "tiny/pictures.bin").unlink(missing_ok=True)
    assert sandbox.one(policy=Policy(retries=len(cuts), keep_free=0)).state == "complete"
    assert sandbox.files() == {"pictures.bin": DATA}


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(sandbox: Sandbox, status: int) -> None:
    plain(sandbox, Served(DATA, [Reply(status, b"", {"Retry-After": "7"}), Reply(status, b"")]))
    assert sandbox.one().state == "complete"
    assert sandbox.waits == [7.0, 2.0]


def test_a_server_may_name_the_time_to_come_back(sandbox: Sandbox) -> None:
    plain(sandbox, Served(DATA, [Reply(429, b"", {"Retry-After": http_date(time.time() + 90)})]))
    assert sandbox.one().state == "complete"
    assert 80 < sandbox.waits[0] <= 90


def test_a_server_that_asks_for_a_day_is_not_waited_for(sandbox: Sandbox) -> None:
    plain(sandbox, Served(DATA, [Reply(429, b"", {"Retry-After": "86400"})]))
    outcome = sandbox.one()
    assert outcome.state == "failed"
    assert "86,400 seconds" in str(outcome.error)
    assert sandbox.waits == []


def test_a_server_that_never_recovers_is_given_up(sandbox: Sandbox) -> None:
    plain(sandbox, Served(DATA, [Reply(500, b"")] * 10))
    outcome = sandbox.one(policy=Policy(retries=3, keep_free=0))
    assert outcome.state == "failed"
    assert "HTTP 500" in str(outcome.error)
    assert sandbox.waits == [1.0, 2.0, 4.0]


def test_a_dead_link_names_the_other_places(sandbox: Sandbox) -> None:
    other = sandbox.url("mirror.bin", Served(DATA))
    sandbox.source(
        {"platform": "url", "files": [{"url": "https://data.example.org/gone.bin"}]},
        {"platform": "url", "files": [{"url": other}], "alternative": True, "note": "a mirror"},
    )
    outcome = sandbox.one()
    assert outcome.state == "failed"
    assert "gone.bin" in str(outcome.error)
    assert "404" in str(outcome.error)
    assert outcome.alternatives == {2: f"url {other} (a mirror)"}
    assert sandbox.files() == {}
    assert sandbox.one(options=Options(choose=2)).state == "complete"
    assert sandbox.files() == {"mirror.bin": DATA}
    # The choice stays.
    assert sandbox.one().present == ("mirror.bin",)


def test_a_place_that_the_card_does_not_have_cannot_be_chosen(sandbox: Sandbox) -> None:
    plain(sandbox, Served(DATA))
    assert "has the places 1 to 1" in str(sandbox.one(options=Options(choose=4)).error)


def test_other_bytes_than_the_owner_says_are_not_kept(sandbox: Sandbox) -> None:
    plain(sandbox, Served(DATA), sha256="0" * 64)
    outcome = sandbox.one()
    assert outcome.state == "failed"
    assert sha256(DATA) in str(outcome.error)
    assert sandbox.files() == {}
    assert not list((sandbox.raw / ".med-mat/partial").rglob("*.bin"))


def test_another_size_than_the_owner_says_is_not_fetched(sandbox: Sandbox) -> None:
    plain(sandbox, Served(DATA), bytes=7)
    outcome = sandbox.one()
    assert "7 bytes expected, the server has 300,000" in str(outcome.error)
    assert sandbox.files() == {}


def test_what_changed_on_the_disk_is_found_by_check(sandbox: Sandbox) -> None:
    plain(sandbox, Served(DATA))
    sandbox.get()
    path = sandbox.raw / "tiny/pictures.bin"
    path.write_bytes(bytes(len(DATA)))
    assert sandbox.one().state == "complete"
    outcome = sandbox.one(options=Options(check=True))
    assert outcome.state == "failed"
    assert "has changed since it was recorded" in str(outcome.error)


def test_an_owner_who_changed_a_file_without_a_word_is_found_out(sandbox: Sandbox) -> None:
    served = plain(sandbox, Served(DATA))
    sandbox.get()
    (sandbox.raw / "tiny/pictures.bin").unlink()
    served.data = b"something else"
    outcome = sandbox.one()
    assert outcome.state == "failed"
    assert "at the first download" in str(outcome.error)
    assert sandbox.files() == {}


def test_a_login_page_is_no_file(sandbox: Sandbox) -> None:
    plain(sandbox, Served(b"<html>log in", kind="text/html; charset=utf-8"))
    outcome = sandbox.one()
    assert "a web page came in place of the file" in str(outcome.error)
    assert sandbox.files() == {}


def test_signed_addresses_are_not_shown(sandbox: Sandbox) -> None:
    served = Served(DATA, [0] * 9)
    address = sandbox.url("pictures.bin", served)
    sandbox.source({"platform": "url", "files": [{"url": f"{address}?token=secret"}]})
    outcome = sandbox.one(policy=Policy(retries=1, keep_free=0))
    assert outcome.state == "failed"
    assert "secret" not in str(outcome.error)
    sandbox.internet.close()
    outcome = sandbox.one(policy=Policy(retries=1, keep_free=0))
    assert "given up after 2 attempts" in str(outcome.error)
    assert "secret" not in str(outcome.error)


def test_a_file_that_came_whole_before_the_process_died_is_not_fetched_again(
    sandbox: Sandbox, internet: Loopback
) -> None:
    plain(sandbox, Served(DATA, [PIECE]))
    sandbox.one(policy=Policy(retries=0, keep_free=0))
    (partial,) = (sandbox.raw / ".med-mat/partial").rglob("*.part")
    partial.write_bytes(DATA)
    assert sandbox.one().error is None
    assert internet.asked[-1].headers["range"] == f"bytes={len(DATA)}-"
    assert sandbox.files() == {"pictures.bin": DATA}


class Idle:
    """A meter that nobody looks at."""

    def total(self, size: int | None) -> None:
        pass

    def at(self, position: int) -> None:
        pass


def test_a_process_that_died_before_the_last_step_loses_nothing(sandbox: Sandbox, internet: Loopback) -> None:
    address = sandbox.url("pictures.bin", Served(DATA))
    policy = Policy(keep_free=0)
    (remote,) = remotes(Place.model_validate({"platform": "url", "files": [{"url": address}]}), policy)
    first = fetch(remote, sandbox.raw, Idle(), policy)
    # It is whole, and nobody has moved it out of the work folder.
    second = fetch(remote, sandbox.raw, Idle(), policy)
    assert (first.sha256, second.sha256) == (sha256(DATA), sha256(DATA))
    assert second.path.read_bytes() == DATA
    assert internet.asked[-1].headers["range"] == f"bytes={len(DATA)}-"


def test_another_range_than_was_asked_for_is_refused(sandbox: Sandbox) -> None:
    wrong = Reply(206, DATA[5:], {"Content-Range": f"bytes 5-{len(DATA) - 1}/{len(DATA)}"})
    plain(sandbox, Served(DATA, [PIECE, wrong]))
    outcome = sandbox.one()
    assert f"asked for what follows byte {PIECE:,}" in str(outcome.error)
    assert sandbox.files() == {}


def test_more_than_the_server_has_is_thrown_away(sandbox: Sandbox) -> None:
    plain(sandbox, Served(DATA, [PIECE]))
    sandbox.one(policy=Policy(retries=0, keep_free=0))
    (partial,) = (sandbox.raw / ".med-mat/partial").rglob("*.part")
    partial.write_bytes(DATA + b"more")
    assert sandbox.one().error is None
    assert sandbox.files() == {"pictures.bin": DATA}


def test_a_full_disk_is_noticed_before_the_first_byte(sandbox: Sandbox) -> None:
    plain(sandbox, Served(DATA))
    outcome = sandbox.one(policy=Policy(keep_free=1 << 60))
    assert outcome.state == "failed"
    assert "--keep-free" in str(outcome.error)
    assert not list((sandbox.raw / ".med-mat/partial").rglob("*.part"))


def test_what_came_already_needs_no_room_again(sandbox: Sandbox) -> None:
    plain(sandbox, Served(DATA, [4 * PIECE]), bytes=len(DATA))
    sandbox.one(policy=Policy(retries=0, keep_free=0))
    free = shutil.disk_usage(sandbox.raw).free
    # Room for the rest, with some to spare for what others write meanwhile, and not for the whole.
    spare = (len(DATA) - 4 * PIECE) + 100_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(free, 0, spare))
        assert sandbox.one().error is None


def test_a_server_that_does_not_exist_is_called_gone(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name)
    sandbox.source({"platform": "url", "files": [{"url": "http://nowhere.invalid/file.bin"}]})
    outcome = sandbox.one()
    assert "the server cannot be found" in str(outcome.error)
    assert sandbox.waits == [1.0, 2.0]


def test_a_file_that_somebody_put_there_is_taken_over(sandbox: Sandbox, internet: Loopback) -> None:
    plain(sandbox, Served(DATA), sha256=sha256(DATA))
    (sandbox.raw / "tiny").mkdir(parents=True)
    (sandbox.raw / "tiny/pictures.bin").write_bytes(DATA)
    outcome = sandbox.one()
    assert (outcome.state, outcome.present) == ("complete", ("pictures.bin",))
    assert internet.paths() == []


def test_a_file_of_that_name_with_other_bytes_is_not_taken_over(sandbox: Sandbox) -> None:
    plain(sandbox, Served(DATA), sha256=sha256(DATA))
    (sandbox.raw / "tiny").mkdir(parents=True)
    (sandbox.raw / "tiny/pictures.bin").write_bytes(b"mine")
    assert "Move it away" in str(sandbox.one().error)
    assert sandbox.files() == {"pictures.bin": b"mine"}


def test_a_folder_of_unknown_origin_is_left_alone(sandbox: Sandbox, internet: Loopback) -> None:
    plain(sandbox, Served(DATA))
    (sandbox.raw / "tiny").mkdir(parents=True)
    (sandbox.raw / "tiny/unpacked.png").write_bytes(b"mine")
    outcome = sandbox.one()
    assert outcome.state == "failed"
    assert "no record of where they are from" in str(outcome.error)
    assert internet.paths() == []


def test_files_come_several_at_a_time_but_few_from_one_server(sandbox: Sandbox, internet: Loopback) -> None:
    def slow(data: bytes) -> object:
        served = Served(data)

        def answer(request: object) -> Reply:
            time.sleep(0.15)
            return served(request)  # type: ignore[arg-type] # the server hands over what a route takes

        return answer

    addresses = [sandbox.url(f"{number}.bin", slow(bytes([number]))) for number in range(6)]
    other = internet.serve("https://other.example.org/x.bin", Served(b"x"))
    sandbox.source({"platform": "url", "files": [{"url": address} for address in [*addresses, other]]})
    outcome = sandbox.one(options=Options(jobs=4, per_host=2))
    assert outcome.error is None
    assert internet.busiest["data.example.org"] == 2
    assert len(sandbox.files()) == 7


def test_one_dead_file_does_not_keep_the_others(sandbox: Sandbox) -> None:
    good = [sandbox.url(f"{number}.bin", Served(bytes([number]))) for number in range(3)]
    sandbox.source({"platform": "url", "files": [{"url": address} for address in [f"{good[0]}.gone", *good]]})
    outcome = sandbox.one()
    assert outcome.state == "failed"
    assert outcome.fetched == ("0.bin", "1.bin", "2.bin")


def test_sources_that_fail_do_not_stop_others(sandbox: Sandbox) -> None:
    sandbox.source({"platform": "url", "files": [{"url": "https://data.example.org/gone.bin"}]}, slug="dead")
    sandbox.source({"platform": "url", "files": [{"url": sandbox.url("a.zip", Served(zipped({"a.png": b"a"})))}]})
    states = {outcome.slug: outcome.state for outcome in sandbox.get("dead", "tiny")}
    assert states == {"dead": "failed", "tiny": "complete"}


def test_a_download_that_two_sources_read_is_fetched_once(sandbox: Sandbox, internet: Loopback) -> None:
    place = {"platform": "url", "files": [{"url": sandbox.url("a.bin", Served(DATA))}]}
    sandbox.source(place)
    sandbox.source(slug="tiny_seg", download_of="tiny")
    outcomes = sandbox.get("tiny", "tiny_seg")
    assert [outcome.state for outcome in outcomes] == ["complete", "complete"]
    assert [outcome.present for outcome in outcomes] == [(), ("a.bin",)]
    assert internet.paths() == ["data.example.org/a.bin"]
    assert not (sandbox.raw / "tiny_seg").exists()
