"""Archives: what may be unpacked, where to, and what a stop in the middle leaves."""

import errno
import gzip
import io
import os
import shutil
import stat
import tarfile
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from distillweighted.errors import DataError
from distillweighted.files.downloads import archives
from distillweighted.files.downloads.archives import (
    MAX_DEPTH,
    SPACE_MARGIN,
    check_space,
    format_bytes,
    unpack,
)

FILES = {"birds/list.txt": b"1 a.jpg\n", "birds/images/a.jpg": b"A" * 5000, "notes.txt": b""}
FORMATS = ["zip", "tar", "tar.gz", "tgz"]

Usage = namedtuple("Usage", "total used free")


def make_archive(path, files):
    """An archive in the format that its name says; b"" under "name/" is a folder."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, "w" if path.name.endswith(".tar") else "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() or path.is_symlink()
    }


def assert_untouched(tmp_path, archive):
    """Nothing but the archive is there."""
    assert [path.name for path in tmp_path.iterdir()] == [archive.name]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_new_folder_has_the_archives_files_and_nothing_else(tmp_path, suffix):
    archive = make_archive(tmp_path / f"data.{suffix}", {**FILES, "empty/": b""})
    unpack(archive, tmp_path / "root" / "birds-2011")
    assert contents(tmp_path / "root") == {f"birds-2011/{k}": v for k, v in FILES.items()}
    assert (tmp_path / "root/birds-2011/empty").is_dir()
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["birds-2011"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_format_is_told_from_the_contents(tmp_path, suffix):
    archive = make_archive(tmp_path / f"data.{suffix}", FILES).rename(tmp_path / "download")
    unpack(archive, tmp_path / "root")
    assert contents(tmp_path / "root") == FILES


def test_permissions_of_an_archive_are_not_taken_over(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, mode in (("run", 0o6777), ("locked", 0)):
            entry = tarfile.TarInfo(name)
            entry.mode = mode
            tar.addfile(entry)
    unpack(tmp_path / "a.tar", tmp_path / "root")
    for name in ("run", "locked"):
        mode = (tmp_path / "root" / name).stat().st_mode
        assert mode & 0o7111 == 0 and mode & stat.S_IRUSR


def test_archives_merge_into_one_folder(tmp_path):
    """As the images and annotations of Oxford Pets, with a file and a folder in both."""
    images = make_archive(tmp_path / "images.tar.gz", {"images/a.jpg": b"A", "README": b"hi"})
    lists = {"lists/all.txt": b"a", "images/b.jpg": b"B", "README": b"hi"}
    folder = tmp_path / "pets"
    unpack(images, folder)
    before = (folder / "README").stat().st_ino
    unpack(make_archive(tmp_path / "lists.zip", lists), folder)
    assert contents(folder) == {"images/a.jpg": b"A", **lists}
    assert (folder / "README").stat().st_ino == before
    assert sorted(path.name for path in folder.iterdir()) == ["README", "images", "lists"]


@pytest.mark.parametrize("mine", ["file", "folder", "link"])
def test_what_differs_is_not_replaced_and_nothing_is_moved(tmp_path, mine):
    folder = tmp_path / "root"
    place = folder / "birds/images/a.jpg"
    place.parent.mkdir(parents=True)
    if mine == "file":
        place.write_bytes(b"B" * 5000)
    elif mine == "folder":
        place.mkdir()
    else:
        (tmp_path / "elsewhere").write_bytes(FILES["birds/images/a.jpg"])
        place.symlink_to(tmp_path / "elsewhere")
    before = contents(folder)
    archive = make_archive(tmp_path / "a.zip", {"a.txt": b"new", **FILES})
    with pytest.raises(DataError, match=r"a\.zip: .*images/a\.jpg is there already and differs"):
        unpack(archive, folder)
    assert contents(folder) == before
    assert [path.name for path in folder.iterdir()] == ["birds"]


def test_a_link_in_the_folder_does_not_lead_the_archive_out_of_it(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "root/birds").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match="root/birds is there already"):
        unpack(make_archive(tmp_path / "a.tar", FILES), tmp_path / "root")
    assert list((tmp_path / "outside").iterdir()) == []


def test_the_folder_itself_may_be_a_link_to_another_disk(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    unpack(make_archive(tmp_path / "a.tar", FILES), tmp_path / "root")
    assert contents(tmp_path / "disk") == FILES


def test_a_merge_that_was_interrupted_is_completed_by_the_same_call(tmp_path, monkeypatch):
    folder = tmp_path / "root"
    (folder / "birds").mkdir(parents=True)
    archive = make_archive(tmp_path / "a.tar", FILES)
    rename, calls = os.rename, []

    def killed(source, target):
        if calls:
            raise KeyboardInterrupt
        calls.append(target)
        rename(source, target)

    with monkeypatch.context() as patch:
        # A killed process cleans nothing up.
        patch.setattr(archives.os, "rename", killed)
        patch.setattr(archives.shutil, "rmtree", lambda *a, **k: None)
        with pytest.raises(KeyboardInterrupt):
            unpack(archive, folder)
    assert (folder / ".a.tar.unpacking").is_dir() and len(calls) == 1
    unpack(archive, folder)
    assert contents(folder) == FILES


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "name", ["../evil", "birds/../../evil", "/tmp/evil", "C:/evil", "..\\evil", "a/.."]
)
def test_a_member_that_leads_out_stops_the_whole_archive(tmp_path, suffix, name):
    archive = make_archive(tmp_path / f"a.{suffix}", {**FILES, name: b"!"})
    with pytest.raises(
        DataError, match=r"its member .* so nothing of the archive is unpacked"
    ) as e:
        unpack(archive, tmp_path / "deep" / "root")
    assert repr(name) in str(e.value)
    assert_untouched(tmp_path, archive)


@pytest.mark.parametrize("suffix", ["zip", "tar"])
@pytest.mark.parametrize("name", [".", "", "./."])
def test_a_file_without_a_name_is_refused(tmp_path, suffix, name):
    archive = tmp_path / f"a.{suffix}"
    archive.write_bytes(entries(suffix, name))
    with pytest.raises(DataError, match="has no name"):
        unpack(archive, tmp_path / "root")
    assert_untouched(tmp_path, archive)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_of_a_tar_are_refused(tmp_path, kind):
    """A link that leads out, and then a file through it."""
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        entry = tarfile.TarInfo("birds/images")
        entry.type, entry.linkname = kind, "../.."
        tar.addfile(entry)
        tar.addfile(tarfile.TarInfo("birds/images/evil"))
    with pytest.raises(DataError, match="'birds/images' is a link or a device"):
        unpack(archive, tmp_path / "root")
    assert_untouched(tmp_path, archive)


@pytest.mark.parametrize(
    ("attribute", "value", "why"),
    [
        ("external_attr", (stat.S_IFLNK | 0o777) << 16, "is a link or a device"),
        ("external_attr", (stat.S_IFCHR | 0o777) << 16, "is a link or a device"),
        ("flag_bits", 1, "is encrypted"),
        ("compress_type", zipfile.ZIP_LZMA, "is compressed in an uncommon way"),
    ],
)
def test_members_of_a_zip_that_are_no_plain_files_are_refused(tmp_path, attribute, value, why):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        entry = zipfile.ZipInfo("birds/link")
        zipped.writestr(entry, "../..")
        setattr(zipped.filelist[0], attribute, value)
    with pytest.raises(DataError, match=f"'birds/link' {why}"):
        unpack(archive, tmp_path / "root")
    assert_untouched(tmp_path, archive)


def entries(suffix, *names):
    """An archive of files of the given names, in order, as bytes."""
    buffer = io.BytesIO()
    if suffix == "zip":
        with zipfile.ZipFile(buffer, "w") as zipped:
            for name in names:
                zipped.writestr(zipfile.ZipInfo(name), name)
    else:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name in names:
                data = name.encode("utf-8", "surrogateescape")
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", ["zip", "tar"])
@pytest.mark.parametrize("names", [("a/b", "a"), ("a", "a/b"), ("a/b", "a/./b"), ("a", "a")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_in_one_place_are_refused(tmp_path, suffix, names):
    archive = tmp_path / f"a.{suffix}"
    archive.write_bytes(entries(suffix, *names))
    with pytest.raises(DataError, match="has the name of another one"):
        unpack(archive, tmp_path / "root")
    assert_untouched(tmp_path, archive)


@pytest.mark.parametrize(
    ("name", "why"),
    [("a/" * MAX_DEPTH + "b", "folders deep"), ("a" * 256, "too long"), ("é" * 128, "too long")],
)
def test_names_that_no_disk_takes_are_refused(tmp_path, name, why):
    archive = tmp_path / "a.zip"
    archive.write_bytes(entries("zip", name))
    with pytest.raises(DataError, match=why):
        unpack(archive, tmp_path / "root")


def test_the_temporary_folder_cannot_be_a_member(tmp_path):
    (tmp_path / "root").mkdir()
    archive = make_archive(tmp_path / "a.tar", {".a.tar.unpacking/x": b"", **FILES})
    with pytest.raises(DataError, match=r"\.a\.tar\.unpacking is there already"):
        unpack(archive, tmp_path / "root")
    assert contents(tmp_path / "root") == {}


PARTS = st.one_of(
    st.sampled_from(["", ".", "..", "...", "a", "b", "C:", "\\", "..\\", "~", " ", "\0", "a\n"]),
    st.text(st.characters(exclude_characters="/"), max_size=6),
    st.text("ä", min_size=100, max_size=300),
)


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(suffix=st.sampled_from(["zip", "tar"]), parts=st.lists(PARTS, min_size=1, max_size=6))
@example(suffix="tar", parts=["", "etc", "x"])
@example(suffix="zip", parts=["a", "..", "..", "x"])
def test_any_name_lands_under_the_folder_or_is_refused(tmp_path, suffix, parts):
    name = "/".join(parts)
    try:
        data = entries(suffix, name)
    except (UnicodeEncodeError, ValueError):
        return
    top = tmp_path / "top"
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir()
    (top / "a").write_bytes(data)
    root = top / "one" / "root"
    try:
        unpack(top / "a", root)
    except DataError:
        assert [path.name for path in top.rglob("*")] == ["a"]
        return
    found = [path for path in top.rglob("*") if not path.is_dir() and path != top / "a"]
    assert all(path.is_relative_to(root) and not path.is_symlink() for path in found)
    # The same place as the name says: nothing is silently renamed.
    assert ".." not in parts and not name.startswith("/")
    name = name.split("\0")[0]
    found = [path.relative_to(root) for path in found]
    assert found == [Path(name)] or (found == [] and name.endswith("/"))


DAMAGES = st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=4)), min_size=1, max_size=4)


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(suffix=st.sampled_from(FORMATS[:3]), damages=DAMAGES, cut=st.booleans())
def test_damage_anywhere_is_an_error_or_harmless(tmp_path, suffix, damages, cut):
    top = tmp_path / "top"
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir()
    archive = make_archive(top / f"a.{suffix}", FILES)
    data = bytearray(archive.read_bytes())
    for place, value in damages:
        place %= len(data)
        data[place : place + len(value)] = value
    archive.write_bytes(data[: damages[0][0] % len(data)] if cut else data)
    try:
        unpack(archive, top / "root")
    except DataError:
        assert [path.name for path in top.rglob("*")] == [archive.name]
        return
    assert {path.name for path in top.iterdir()} == {archive.name, "root"}
    assert 0 < len(list((top / "root").rglob("*"))) <= len(FILES) + 2


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_the_disk_has_no_room_for_is_refused_before_it_is_written(
    tmp_path, suffix, monkeypatch
):
    """Two blocks for 5000 bytes, one for 8, and one more for each of the three files."""
    archive = make_archive(tmp_path / f"a.{suffix}", FILES)
    needed = SPACE_MARGIN + 4096 * 6
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, needed - 1))
    with pytest.raises(DataError, match=rf"unpacking .*a\.{suffix} needs 200 MB of disk space"):
        unpack(archive, tmp_path / "root")
    assert_untouched(tmp_path, archive)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, needed))
    unpack(archive, tmp_path / "root")


def test_a_tar_bomb_is_not_read_to_its_end(tmp_path, monkeypatch):
    """A header that declares a petabyte, before anything behind it is looked for."""
    entry = tarfile.TarInfo("zeros")
    entry.size = 10**15
    archive = tmp_path / "a.tar"
    archive.write_bytes(entry.tobuf() + bytes(10_240))
    with pytest.raises(DataError, match="'zeros' makes it larger than the disk has room for"):
        unpack(archive, tmp_path / "root")
    assert_untouched(tmp_path, archive)


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    with pytest.raises(DataError, match=r"'notes\.txt' comes after 2 others"):
        unpack(make_archive(tmp_path / "a.tar", FILES), tmp_path / "root")


def test_a_zip_that_declares_less_than_it_has_is_refused(tmp_path):
    """The size in the central directory is 10 instead of 5000."""
    archive = make_archive(tmp_path / "a.zip", {"a": b"A" * 5000})
    data = archive.read_bytes()
    assert data.count((5000).to_bytes(4, "little")) == 2
    archive.write_bytes(data.replace((5000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(DataError, match=r"a\.zip"):
        unpack(archive, tmp_path / "root")
    assert_untouched(tmp_path, archive)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kept", [0, 3, 0.3, 0.9])
def test_a_truncated_archive_is_refused(tmp_path, suffix, kept):
    noise = bytes(range(256)) * 40
    archive = make_archive(tmp_path / f"a.{suffix}", {f"{i}.bin": noise[i:] for i in range(9)})
    data = archive.read_bytes()
    archive.write_bytes(data[: kept if isinstance(kept, int) else int(len(data) * kept)])
    with pytest.raises(DataError, match=r"is no zip, tar or tar\.gz archive, or is damaged"):
        unpack(archive, tmp_path / "root")
    assert_untouched(tmp_path, archive)


def test_a_tar_cut_between_two_members_is_refused(tmp_path):
    """`tarfile` takes it for a shorter archive."""
    archive = make_archive(tmp_path / "a.tar", FILES)
    archive.write_bytes(archive.read_bytes()[:1024])
    with tarfile.open(archive) as tar:
        assert tar.getnames() == ["birds/list.txt"]
    with pytest.raises(DataError, match="does not end as a tar archive does"):
        unpack(archive, tmp_path / "root")
    assert_untouched(tmp_path, archive)


def test_a_damaged_member_is_named(tmp_path):
    archive = tmp_path / "a.zip"
    # Each file holds its own name.
    data = entries("zip", "first.txt", "second.txt")
    archive.write_bytes(data.replace(b"first.txtfirst.txt", b"first.txtfXrst.txt"))
    with pytest.raises(DataError, match=r"damaged \(Bad CRC-32 for file 'first\.txt'\)"):
        unpack(archive, tmp_path / "root")
    assert_untouched(tmp_path, archive)


def test_a_gzipped_tar_with_a_changed_byte_is_refused(tmp_path):
    """Only the check value at its end tells."""
    archive = tmp_path / "a.tgz"
    plain = bytearray(entries("tar", "first.txt"))
    good = gzip.compress(plain)
    plain[512] ^= 1
    archive.write_bytes(gzip.compress(plain)[:-8] + good[-8:])
    with pytest.raises(DataError, match=r"damaged \(CRC check failed"):
        unpack(archive, tmp_path / "root")
    assert_untouched(tmp_path, archive)


def test_a_tar_that_goes_on_and_on_is_refused(tmp_path, monkeypatch):
    archive = tmp_path / "a.tgz"
    monkeypatch.setattr(archives, "_MAX_PADDING", 2 << 20)
    archive.write_bytes(gzip.compress(entries("tar", "first.txt") + bytes(3 << 20)))
    with pytest.raises(DataError, match="there is more behind its end"):
        unpack(archive, tmp_path / "root")


@pytest.mark.parametrize(
    "data", [b"<html>Please log in</html>", b"BZh91AY&SY", b"\x1f\x8bnot gzip"]
)
def test_what_is_no_archive_is_refused(tmp_path, data):
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(data)
    with pytest.raises(DataError, match=r"is no zip, tar or tar\.gz archive"):
        unpack(archive, tmp_path / "root")
    assert_untouched(tmp_path, archive)


def test_a_disk_that_becomes_full_leaves_nothing_half_made(tmp_path, monkeypatch):
    archive = make_archive(tmp_path / "a.tar", FILES)

    class Full(io.BytesIO):
        def write(self, block):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        archives,
        "open",
        lambda path, mode: Full() if mode == "xb" else open(path, mode),
        raising=False,
    )
    with pytest.raises(DataError, match=r"the disk became full .* make room and start again"):
        unpack(archive, tmp_path / "root")
    assert_untouched(tmp_path, archive)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "root").write_text("mine")
    with pytest.raises(DataError, match="root is a file"):
        unpack(make_archive(tmp_path / "a.tar", FILES), tmp_path / "root")


def test_space_is_checked_with_a_margin(monkeypatch):
    asked = []
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: asked.append(path) or Usage(0, 0, 5 * 10**9)
    )
    check_space(Path("there"), 5 * 10**9 - SPACE_MARGIN, "it")
    with pytest.raises(DataError, match=r"^it needs 5\.0 GB .* are 5\.0 GB free at there"):
        check_space(Path("there"), 5 * 10**9 - SPACE_MARGIN + 1, "it")
    assert asked == [Path("there")] * 2


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_951, "100 kB"),
        (999_600, "1.0 MB"),
        (1_150_585_339, "1.2 GB"),
        (42 * 10**12, "42.0 TB"),
    ],
)
def test_sizes_for_people(count, text):
    assert format_bytes(count) == text
