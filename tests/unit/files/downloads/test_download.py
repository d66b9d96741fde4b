"""Downloads: resumed, verified, and never taken for complete before they are."""

import errno
import hashlib
import json
import random
import shutil
from collections import namedtuple

import pytest
from local_site import serving

from distillweighted.errors import DataError
from distillweighted.files.downloads import download as download_module
from distillweighted.files.downloads import http
from distillweighted.files.downloads.archives import SPACE_MARGIN
from distillweighted.files.downloads.download import download
from distillweighted.files.downloads.http import Transfer

CONTENT = random.Random(0).randbytes(1_000_000)
CUT = 600_000
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with serving() as site:
        site.files["/data.tar"] = CONTENT
        yield site


@pytest.fixture
def goal(tmp_path):
    return tmp_path / "downloads" / "data.tar"


def names(goal):
    return sorted(path.name for path in goal.parent.iterdir())


def get(site, goal, *, checksum=SHA256, pauses=(), **options):
    return download(
        f"{site.url}/data.tar", goal, checksum=checksum, pauses=pauses, timeout=5, **options
    )


def interrupt(site, goal, **options):
    """A first call that brings `CUT` bytes."""
    site.plan.insert(0, ("cut", CUT))
    with pytest.raises(DataError, match=r"after 600,000 of 1,000,000 bytes.*600 kB are kept"):
        get(site, goal, **options)


@pytest.mark.parametrize(
    "checksum", [MD5, SHA256, SHA256[:15], None], ids=["md5", "sha256", "short", "none"]
)
def test_a_download_is_there_under_its_name_alone(site, goal, checksum):
    calls = []
    found = get(site, goal, checksum=checksum, progress=lambda *call: calls.append(call))
    assert found == goal and goal.read_bytes() == CONTENT
    assert names(goal) == ["data.tar"]
    assert calls[0] == (0, len(CONTENT)) and calls[-1] == (len(CONTENT), len(CONTENT))
    assert calls == sorted(calls) and len(calls) > 3


def test_what_is_there_is_not_downloaded_again_and_never_replaced(site, goal):
    get(site, goal)
    get(site, goal)
    assert len(site.requests) == 1
    goal.write_bytes(b"mine")
    found = hashlib.sha256(b"mine").hexdigest()
    with pytest.raises(DataError, match=f"is there already .* sha256:{found} instead of {SHA256}"):
        get(site, goal)
    assert goal.read_bytes() == b"mine" and len(site.requests) == 1


def test_an_empty_file_is_complete(site, goal):
    site.files["/data.tar"] = b""
    get(site, goal, checksum=None)
    assert goal.read_bytes() == b"" and names(goal) == ["data.tar"]


def test_a_truncated_body_is_kept_but_not_taken_for_complete(site, goal):
    interrupt(site, goal, checksum=None)
    assert names(goal) == ["data.tar.partial", "data.tar.partial.json"]
    assert (goal.parent / "data.tar.partial").read_bytes() == CONTENT[:CUT]


@pytest.mark.parametrize("checksum", [SHA256, None], ids=["sha256", "none"])
def test_a_later_call_gets_the_rest_alone(site, goal, checksum):
    interrupt(site, goal)
    calls = []
    get(site, goal, checksum=checksum, progress=lambda *call: calls.append(call))
    assert goal.read_bytes() == CONTENT
    assert site.sent == [CUT, len(CONTENT) - CUT]
    assert [r.status for r in site.requests] == [200, 206]
    assert calls[0] == (CUT, len(CONTENT))


def test_one_call_goes_on_after_each_cut_that_brought_something(site, goal):
    """One new attempt is allowed, and each of three cuts starts the count anew."""
    site.plan = [("cut", 400_000), ("cut", 300_000), ("cut", 200_000)]
    get(site, goal, pauses=(0,))
    assert goal.read_bytes() == CONTENT
    assert site.sent == [400_000, 300_000, 200_000, 100_000]


def test_a_server_without_ranges_sends_all_of_it_again(site, goal):
    site.takes_ranges = False
    interrupt(site, goal)
    get(site, goal)
    assert goal.read_bytes() == CONTENT
    assert site.sent == [CUT, len(CONTENT)]
    assert site.requests[1].range == f"bytes={CUT}-"


@pytest.mark.parametrize("tags", [True, False])
def test_a_file_that_changed_starts_over(site, goal, tags):
    """Noticed by If-Range, or by the total size."""
    site.sends_tags = tags
    interrupt(site, goal)
    new = CONTENT[::-1] + b"!"
    site.files["/data.tar"] = new
    get(site, goal, checksum=f"md5:{hashlib.md5(new).hexdigest()}")
    assert goal.read_bytes() == new
    assert [r.status for r in site.requests] == ([200, 200] if tags else [200, 206, 200])


def test_a_part_that_was_not_asked_for_is_not_appended(site, goal):
    interrupt(site, goal)
    site.plan = ["wrong part"]
    get(site, goal)
    assert goal.read_bytes() == CONTENT
    assert [r.range for r in site.requests] == [None, f"bytes={CUT}-", None]


def test_without_checksum_and_version_nothing_is_spliced(site, goal):
    site.sends_tags = False
    interrupt(site, goal, checksum=None)
    get(site, goal, checksum=None)
    assert goal.read_bytes() == CONTENT and site.requests[1].range is None


@pytest.mark.parametrize(
    "note", [None, "{", "[]", '{"url": 1}', '{"url": "", "tag": "", "modified": "", "total": "9"}']
)
def test_a_partial_file_of_unknown_origin_is_not_continued(site, goal, note):
    interrupt(site, goal)
    path = goal.parent / "data.tar.partial.json"
    path.unlink() if note is None else path.write_text(note)
    (goal.parent / "data.tar.partial").write_bytes(b"something else")
    get(site, goal)
    assert goal.read_bytes() == CONTENT and site.requests[1].range is None


def test_a_partial_file_of_another_address_is_not_continued(site, goal):
    interrupt(site, goal)
    site.files["/other.tar"] = CONTENT[::-1]
    download(f"{site.url}/other.tar", goal, checksum=None, pauses=())
    assert goal.read_bytes() == CONTENT[::-1] and site.requests[1].range is None


def test_a_partial_file_that_is_complete_needs_no_request(site, goal, monkeypatch):
    """As where the process was killed right before the rename."""

    def killed(source, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(download_module.os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            get(site, goal)
    assert names(goal) == ["data.tar.partial", "data.tar.partial.json"]
    get(site, goal)
    assert goal.read_bytes() == CONTENT and len(site.requests) == 1


@pytest.mark.parametrize("checksum", [MD5, SHA256, SHA256[:15]], ids=["md5", "sha256", "short"])
def test_a_wrong_checksum_removes_the_file_and_names_both(site, goal, checksum):
    site.files["/data.tar"] = b"<html>Please log in</html>"
    algorithm = checksum.partition(":")[0]
    found = hashlib.new(algorithm, site.files["/data.tar"]).hexdigest()
    with pytest.raises(DataError, match=f"{algorithm}:{found} instead of {checksum}"):
        get(site, goal, checksum=checksum)
    assert names(goal) == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_error_that_passes_is_waited_for(site, goal, status, monkeypatch):
    waits = []
    monkeypatch.setattr(download_module.time, "sleep", waits.append)
    site.plan = [status, status]
    get(site, goal, pauses=(3, 20, 90))
    assert goal.read_bytes() == CONTENT and waits == [3, 20]


def test_an_error_that_does_not_pass_ends_it(site, goal):
    site.plan = [503] * 9
    with pytest.raises(DataError, match=r"data\.tar: the server answers 503 .* after 3 attempts"):
        get(site, goal, pauses=(0, 0))
    assert len(site.requests) == 3


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_final(site, goal, status):
    site.plan = [status]
    with pytest.raises(DataError, match=f"the server answers {status} .*browser"):
        get(site, goal, pauses=(0, 0))
    assert len(site.requests) == 1 and names(goal) == []


def test_a_connection_that_stalls_is_given_up(site, goal):
    site.plan = ["stall"]
    download(f"{site.url}/data.tar", goal, checksum=SHA256, timeout=0.2, pauses=(0,))
    assert goal.read_bytes() == CONTENT and len(site.requests) == 2


def test_nobody_listening_is_explained(goal):
    with serving() as site:
        url = f"{site.url}/data.tar"
    with pytest.raises(DataError, match=r"no connection .*after 2 attempts"):
        download(url, goal, checksum=None, pauses=(0,), timeout=1)


def test_a_body_of_unknown_length_needs_a_checksum_or_an_end_that_is_marked(site, goal):
    site.plan = ["until closed"]
    with pytest.raises(DataError, match="does not say how long"):
        get(site, goal, checksum=None)
    assert not goal.exists()
    site.plan = ["until closed"]
    assert get(site, goal).read_bytes() == CONTENT
    goal.unlink()
    site.plan = ["chunked"]
    assert get(site, goal, checksum=None).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "url",
    ["file:///etc/hostname", "ftp://host/a", "data:,a", "data.tar", "http:///a", "http://h/a b"],
)
def test_other_addresses_are_refused(goal, url):
    with pytest.raises(DataError, match="is no http or https address"):
        download(url, goal, checksum=None)
    assert not goal.parent.exists()


def test_redirects_lead_to_web_sites_only(site, goal):
    site.plan = [("go", "/data.tar")]
    assert download(f"{site.url}/old", goal, checksum=SHA256).read_bytes() == CONTENT
    goal.unlink()
    site.plan = [("go", "ftp://127.0.0.1/data.tar")]
    with pytest.raises(DataError, match=r"'ftp://.*is no http or https address"):
        get(site, goal)


@pytest.mark.parametrize(
    "checksum", ["", "md5:12", "sha1:" + "0" * 40, "0" * 64, SHA256[:14], SHA256.upper()]
)
def test_a_malformed_checksum_is_refused(site, goal, checksum):
    with pytest.raises(DataError, match="is no checksum"):
        get(site, goal, checksum=checksum)
    assert site.requests == []


def test_room_is_needed_for_the_rest_alone(site, goal, monkeypatch):
    interrupt(site, goal)
    rest = len(CONTENT) - CUT
    free = [rest + SPACE_MARGIN - 1, rest + SPACE_MARGIN]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, free[0]))
    with pytest.raises(DataError, match=r"needs 200 MB .* 200 MB free at .*make room"):
        get(site, goal)
    assert (goal.parent / "data.tar.partial").stat().st_size == CUT
    del free[0]
    assert get(site, goal).read_bytes() == CONTENT


def test_a_size_that_only_the_caller_knows_counts_too(site, goal, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 10**9))
    site.plan = ["chunked"]
    with pytest.raises(DataError, match=r"needs 2\.2 GB"):
        get(site, goal, size=2 * 10**9)


class FullDisk:
    """A file on a disk that has room for some bytes more."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, block):
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self.file.write(block[: self.room])
        self.room -= written
        return written


def test_a_full_disk_keeps_what_is_there(site, goal, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(http, "open", lambda *a, **k: FullDisk(open(*a, **k), 300_001), raising=False)
        with pytest.raises(DataError, match=r"disk is full: 300 kB of 1\.0 MB.*continues"):
            get(site, goal, pauses=(0, 0))
    assert len(site.requests) == 1
    assert (goal.parent / "data.tar.partial").read_bytes() == CONTENT[:300_001]
    get(site, goal)
    assert goal.read_bytes() == CONTENT and site.sent[1] == len(CONTENT) - 300_001


def test_two_writers_are_noticed(site, goal, monkeypatch):
    append = Transfer._append

    def append_twice(self, file, block, total):
        append(self, file, block, total)
        append(self, file, b"x", total)

    monkeypatch.setattr(Transfer, "_append", append_twice)
    with pytest.raises(DataError, match="another process"):
        get(site, goal, checksum=None)
    assert names(goal) == []


def test_the_note_says_which_version_a_partial_file_is_of(site, goal):
    interrupt(site, goal)
    assert json.loads((goal.parent / "data.tar.partial.json").read_text()) == {
        "url": f"{site.url}/data.tar",
        "tag": f'"{hashlib.md5(CONTENT).hexdigest()}"',
        "modified": None,
        "total": len(CONTENT),
    }
