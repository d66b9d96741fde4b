"""Fetching file sets, and saying what is missing."""

import hashlib
import io
import logging
import shutil
import tarfile
import zipfile
from collections import namedtuple

import pytest
from local_site import serving

from distillweighted.errors import DataError
from distillweighted.files.downloads import archives
from distillweighted.files.downloads import fetch as fetch_module
from distillweighted.files.downloads.archives import SPACE_MARGIN
from distillweighted.files.downloads.fetch import describe_missing, fetch, missing_files
from distillweighted.files.downloads.file_set import FileSet

Usage = namedtuple("Usage", "total used free")


def tar_of(**files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/"))
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, content in files.items():
            zipped.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


IMAGES = tar_of(images__cat=b"C" * 3000, images__dog=b"D")
LISTS = tar_of(annotations__all=b"cat dog")
BIRDS = zip_of(birds__images__wren=b"W", birds__list=b"wren")
TABLE = b"wren,1\n"


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with serving() as site:
        # Two sites have an archive of the same name.
        site.files = {
            "/pets/images.tar.gz": IMAGES,
            "/pets/annotations.tar.gz": LISTS,
            "/birds/images.tar.gz": BIRDS,
            "/table.csv": TABLE,
        }
        yield site


def file_set(site, path, file, unpack, **changes):
    content = site.files[file]
    options = {
        "size": len(content),
        "origin": "https://example.org/page",
        "url": site.url + file,
        "checksum": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "unpack": unpack,
    }
    return FileSet(path, **{**options, **changes})


@pytest.fixture
def sets(site):
    return [
        file_set(site, "pets/images", "/pets/images.tar.gz", "pets"),
        file_set(site, "pets/annotations", "/pets/annotations.tar.gz", "pets"),
        file_set(site, "birds/images", "/birds/images.tar.gz", ""),
        file_set(site, "tables/table.csv", "/table.csv", None),
        FileSet("scans", 5 * 10**9, "https://example.org/scans: sign in and accept the terms"),
    ]


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data"


def contents(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


WHOLE = {
    "pets/images/cat": b"C" * 3000,
    "pets/images/dog": b"D",
    "pets/annotations/all": b"cat dog",
    "birds/images/wren": b"W",
    "birds/list": b"wren",
    "tables/table.csv": TABLE,
}


def test_every_file_set_with_an_address_is_fetched_once(site, sets, root):
    fetch([*sets, *sets], root, pauses=())
    assert contents(root) == WHOLE
    assert list((root / ".downloads").iterdir()) == []
    assert len(site.requests) == 4
    fetch(sets, root, pauses=())
    assert len(site.requests) == 4


def test_what_is_there_is_left_alone(site, sets, root):
    (root / "pets/images").mkdir(parents=True)
    fetch(sets[:2], root, pauses=())
    assert contents(root) == {"pets/annotations/all": b"cat dog"}
    assert [request.path for request in site.requests] == ["/pets/annotations.tar.gz"]


def test_nothing_to_fetch_touches_nothing(site, sets, root):
    fetch(sets[4:], root)
    assert not root.exists() and site.requests == []


def test_two_file_sets_of_one_archive_are_downloaded_once(site, root):
    sets = [
        file_set(site, path, "/birds/images.tar.gz", "") for path in ("birds/images", "birds/list")
    ]
    fetch(sets, root, pauses=())
    assert len(site.requests) == 1 and contents(root) == {
        name: content for name, content in WHOLE.items() if name.startswith("birds")
    }


def test_an_interrupted_download_goes_on_in_the_next_call(site, sets, root):
    site.plan = [("cut", 50)]
    with pytest.raises(DataError, match=r"1 of 1 file sets.*\npets/images: .*after 50 of"):
        fetch(sets[:1], root, pauses=())
    assert all("images.tar.gz.partial" in name for name in contents(root))
    fetch(sets[:1], root, pauses=())
    assert site.sent == [50, len(IMAGES) - 50]
    assert (root / "pets/images/dog").read_bytes() == b"D"


@pytest.mark.parametrize("merge", [True, False])
def test_an_interrupted_unpacking_is_noticed_and_completed(site, sets, root, monkeypatch, merge):
    """Also where the file set's path is there by then, and without a second download."""
    if merge:
        (root / "pets").mkdir(parents=True)

    def killed(archive, folder):
        (folder / "images").mkdir(parents=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetch_module, "unpack", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch(sets[:1], root, pauses=())
    (missing,) = missing_files({"pets": sets[:1]}, root)
    assert missing.place.exists() and missing.unfinished.parent == root / ".downloads"
    text = describe_missing([missing])
    assert "its unpacking was interrupted" in text and str(missing.unfinished) in text
    fetch(sets[:1], root, pauses=())
    assert missing_files({"pets": sets[:1]}, root) == []
    assert (root / "pets/images/dog").read_bytes() == b"D" and len(site.requests) == 1


def test_one_failure_does_not_stop_the_others(site, sets, root):
    del site.files["/pets/images.tar.gz"]
    site.files["/table.csv"] = b"other"
    found = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(DataError) as error:
        fetch(sets, root, pauses=())
    lines = str(error.value).splitlines()
    assert lines[0] == "2 of 4 file sets could not be fetched:"
    assert lines[1].startswith("pets/images: ") and "answers 404" in lines[1]
    assert lines[2].startswith("tables/table.csv: ") and f"{found} instead of" in lines[2]
    assert contents(root).keys() == {"pets/annotations/all", "birds/images/wren", "birds/list"}


def test_an_archive_in_an_archive_is_unpacked_too(site, root):
    """As Caltech101 is published."""
    inner = tar_of(Objects__cat__1=b"C", Objects__dog__1=b"D")
    site.files["/objects.zip"] = zip_of(**{"all__Objects.tar.gz": inner, "all__notes.tar": b"x"})
    fetch([file_set(site, "objects/Objects", "/objects.zip", "objects")], root, pauses=())
    assert contents(root) == {
        "objects/Objects/cat/1": b"C",
        "objects/Objects/dog/1": b"D",
        "objects/all/Objects.tar.gz": inner,
        "objects/all/notes.tar": b"x",
    }


def test_an_archive_without_the_expected_files_is_an_error(site, root):
    files = file_set(site, "birds/photos", "/birds/images.tar.gz", "")
    with pytest.raises(DataError, match="birds/photos is still not there"):
        fetch([files], root, pauses=())


def test_an_archive_that_leads_out_of_the_root_leaves_nothing(site, root):
    site.files["/evil.zip"] = zip_of(**{"..__evil": b"!"})
    with pytest.raises(DataError, match=r"'\.\./evil' leads out of its folder"):
        fetch([file_set(site, "evil", "/evil.zip", "")], root, pauses=())
    assert [path.name for path in root.parent.iterdir()] == ["data"]
    assert [path.name for path in root.iterdir()] == [".downloads"]


def test_there_must_be_room_for_all_together_before_anything_is_asked_for(
    site, sets, root, monkeypatch
):
    """All archives unpacked, the table, and the largest archive beside them."""
    sets = [
        FileSet(**{**vars(files), "size": size})
        for files, size in zip(sets[:4], (4 * 10**9, 2 * 10**9, 3 * 10**9, 10**9), strict=True)
    ]
    needed = 14 * 10**9 + SPACE_MARGIN
    free = [needed - 1]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, free[0]))
    with pytest.raises(DataError, match=r"fetching 4 file sets .* needs 14\.2 GB"):
        fetch(sets, root, pauses=())
    assert site.requests == []
    free[0] = needed
    fetch(sets, root, pauses=())
    assert contents(root) == WHOLE


def test_room_is_not_needed_for_what_was_downloaded_before(site, sets, root, monkeypatch):
    site.plan = [("cut", 50)]
    with pytest.raises(DataError, match="after 50 of"):
        fetch(sets[:1], root, pauses=())
    needed = []
    monkeypatch.setattr(
        fetch_module, "check_space", lambda folder, size, purpose: needed.append(size)
    )
    fetch(sets[:1], root, pauses=())
    assert needed == [2 * len(IMAGES) - 50]


def test_progress_is_logged_at_intervals(caplog, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(fetch_module.time, "monotonic", lambda: now[0])
    caplog.set_level(logging.INFO, logger="distillweighted")
    progress = fetch_module._ProgressLog("birds", 5)
    for seconds, done in ((0, 40), (1, 50), (5, 60), (6, 70), (10, 90), (15, 91)):
        now[0] = 100 + seconds
        progress(done * 10**6, 100 * 10**6)
    assert [record.getMessage() for record in caplog.records] == [
        "birds: 60 % of 100 MB, 4.0 MB/s, ETA 10 s",
        "birds: 90 % of 100 MB, 5.0 MB/s, ETA 2 s",
        "birds: 91 % of 100 MB, 3.4 MB/s, ETA 3 s",
    ]
    caplog.clear()
    # The server started over and no longer says how much there is.
    for seconds, done in ((16, 0), (21, 20)):
        now[0] = 100 + seconds
        progress(done * 10**6, None)
    assert [record.getMessage() for record in caplog.records] == ["birds: 20.0 MB, 4.0 MB/s"]


def test_what_is_fetched_is_logged(site, sets, root, caplog):
    caplog.set_level(logging.INFO, logger="distillweighted")
    fetch(sets[:1], root, pauses=())
    assert [record.getMessage() for record in caplog.records] == [
        f"pets/images: file set 1 of 1, from {site.url}/pets/images.tar.gz",
        f"pets/images: unpacking {archives.format_bytes(len(IMAGES))}",
    ]


def test_missing_file_sets_are_listed_once_with_their_tasks(site, sets, root):
    needs = {"pets": sets[:2], "birds": sets[2:4], "chest": sets[4:], "wrens": sets[2:3]}
    missing = missing_files(needs, root)
    assert [(entry.tasks, entry.files) for entry in missing] == [
        (("pets",), sets[0]),
        (("pets",), sets[1]),
        (("birds", "wrens"), sets[2]),
        (("birds",), sets[3]),
        (("chest",), sets[4]),
    ]
    assert [entry.place for entry in missing] == [root / files.path for files in sets]
    assert all(entry.unfinished is None for entry in missing)
    (root / "pets/images").mkdir(parents=True)
    (root / "scans").mkdir()
    assert [entry.files for entry in missing_files(needs, root)] == sets[1:4]


def test_the_description_says_what_where_how_large_and_where_from(site, sets, root):
    missing = missing_files({"birds": sets[2:3], "chest": sets[4:], "wrens": sets[2:3]}, root)
    assert describe_missing(missing).splitlines() == [
        "2 file sets are missing (about 5.0 GB):",
        f"  birds, wrens: {root}/birds/images (about {len(BIRDS)} bytes)",
        f"    can be downloaded automatically from {site.url}/birds/images.tar.gz",
        f"  chest: {root}/scans (about 5.0 GB)",
        "    has to be put there by hand: https://example.org/scans: sign in and accept the terms",
    ]
    assert describe_missing(missing[1:]).startswith("1 file set is missing (about 5.0 GB):")
    assert describe_missing([]) == ""
