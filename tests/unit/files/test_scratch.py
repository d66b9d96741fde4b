"""Copies of images on a machine's own disk: made once, of the right images, no reason to stop."""

import os
from collections import namedtuple

import numpy as np
import pytest

from distillweighted.errors import DamagedError
from distillweighted.files import scratch
from distillweighted.files.scratch import scratch_copy
from distillweighted.tasks.pools import open_pool
from distillweighted.tasks.prepared import write_task

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)


def task(folder, images):
    pools = {"train": (images, np.arange(3)), "test": (images[:1], np.arange(1))}
    write_task(folder, task="t", classes=["a", "b", "c"], seed=0, pools=pools)
    return folder / "train_images.npy", folder / "images.csv"


def read(path, index):
    pool = open_pool(path, index)
    return pool.stack(range(len(pool)))


@pytest.fixture
def stored(tmp_path, monkeypatch):
    monkeypatch.setenv("NODE_DISK", str(tmp_path / "node"))
    return task(tmp_path / "shared", IMAGES)


@pytest.fixture
def copied(monkeypatch):
    """What is copied from now on."""
    files, copy = [], scratch.shutil.copyfile
    monkeypatch.setattr(
        scratch.shutil, "copyfile", lambda *names: (files.append(names[0]), copy(*names))
    )
    return files


def test_without_a_folder_nothing_is_copied(stored, tmp_path):
    assert scratch_copy(*stored, None) == stored[0]
    assert [path.name for path in tmp_path.iterdir()] == ["shared"]


def test_a_copy_is_made_once_where_the_variable_says_and_read_as_the_images_are(
    stored, tmp_path, copied
):
    path, index = stored
    copy = scratch_copy(path, index, "$NODE_DISK/cache")
    assert copy.parents[1] == tmp_path / f"node/cache/distillweighted-{os.getuid()}"
    assert copy.parents[1].stat().st_mode & 0o777 == 0o700
    np.testing.assert_array_equal(read(copy, index), IMAGES)
    assert scratch_copy(path, index, "$NODE_DISK/cache") == copy
    assert copied == [path]
    test = scratch_copy(path.with_name("test_images.npy"), index, "$NODE_DISK/cache")
    np.testing.assert_array_equal(read(test, index), IMAGES[:1])


def test_other_images_have_another_copy(stored, tmp_path):
    first = scratch_copy(*stored, "$NODE_DISK")
    other = task(tmp_path / "other", 255 - IMAGES)
    second = scratch_copy(*other, "$NODE_DISK")
    np.testing.assert_array_equal(read(second, other[1]), 255 - IMAGES)
    np.testing.assert_array_equal(read(first, stored[1]), IMAGES)


def test_a_copy_that_was_cut_short_is_made_again(stored, copied):
    copy = scratch_copy(*stored, "$NODE_DISK")
    copy.write_bytes(copy.read_bytes()[:-1])
    assert scratch_copy(*stored, "$NODE_DISK").read_bytes() == stored[0].read_bytes()
    assert len(copied) == 2


def test_a_damaged_copy_is_named(stored):
    copy = scratch_copy(*stored, "$NODE_DISK")
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    with pytest.raises(DamagedError, match=f"{copy} is damaged.* Remove it"):
        open_pool(scratch_copy(*stored, "$NODE_DISK"), stored[1])


def test_what_is_no_folder_of_this_machine_is_not_used(stored, tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert scratch_copy(*stored, "$NO_SUCH_VARIABLE/x") == stored[0]
    assert "'$NO_SUCH_VARIABLE/x' on this machine, which is no absolute path" in caplog.text
    assert scratch_copy(*stored, "~nobody-of-this-name/x") == stored[0]
    (tmp_path / "file").touch()
    assert scratch_copy(*stored, f"{tmp_path}/file") == stored[0]
    assert "Not a directory" in caplog.text
    # As someone else could leave in a folder that all may write to.
    (tmp_path / "tmp").mkdir()
    (tmp_path / f"tmp/distillweighted-{os.getuid()}").symlink_to(tmp_path / "shared")
    assert scratch_copy(*stored, f"{tmp_path}/tmp") == stored[0]
    assert "is not this user's own" in caplog.text
    assert {path.name for path in (tmp_path / "shared").iterdir()} == {
        "train_images.npy", "test_images.npy", "images.csv", "labels.csv", "meta.json",
    }  # fmt: skip


def test_a_disk_without_room_is_not_filled(stored, tmp_path, caplog, monkeypatch, copied):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: usage(0, 0, 2**30))
    assert scratch_copy(*stored, "$NODE_DISK") == stored[0]
    assert copied == []
    assert "0.0 GB do not fit into" in caplog.text


def test_a_copy_that_fails_midway_leaves_nothing(stored, tmp_path, caplog, monkeypatch):
    def fill(_, partial):
        partial.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(scratch.shutil, "copyfile", fill)
    assert scratch_copy(*stored, "$NODE_DISK") == stored[0]
    assert "No space left on device" in caplog.text
    assert [path.name for path in (tmp_path / "node").rglob("*") if path.is_file()] == ["lock"]
