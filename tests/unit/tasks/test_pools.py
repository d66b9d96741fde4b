"""Pools of images, of one size and of many, and the file that holds those of many."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from distillweighted.errors import DamagedError
from distillweighted.tasks.decoding import MAX_SIDE, decode_images, stored
from distillweighted.tasks.listing import Example, Listing
from distillweighted.tasks.pools import (
    RaggedPool,
    UniformPool,
    as_pool,
    open_pool,
    write_ragged,
)
from distillweighted.tasks.prepared import checksum

LIBRARY = Path(__file__).parents[3] / "workflow_scripts"
SIDES = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12)


def noise(sides):
    rng = np.random.default_rng(len(sides))
    return [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in sides]


def ragged(folder, images):
    return RaggedPool(folder / "a.npy", write_ragged(folder / "a.npy", images))


@given(sides=SIDES, data=st.data())
@settings(max_examples=40)
def test_any_rows_come_back_as_written(tmp_path_factory, sides, data):
    path, images = tmp_path_factory.mktemp("store") / "train_images.npy", noise(sides)
    sizes = write_ragged(path, iter(images))
    assert sizes[:, :2].tolist() == [list(side) for side in sides]
    pool = RaggedPool(path, sizes)
    assert len(pool) == len(images)
    rows = data.draw(st.lists(st.integers(0, len(images) - 1), max_size=20))
    for row, image in zip(rows, pool.load(rows), strict=True):
        np.testing.assert_array_equal(image, images[row])


def test_the_file_is_a_plain_numpy_array(tmp_path):
    images = noise([(2, 3), (4, 1)])
    write_ragged(tmp_path / "a.npy", images)
    flat = np.load(tmp_path / "a.npy")
    np.testing.assert_array_equal(flat, np.concatenate([image.ravel() for image in images]))
    assert not list(tmp_path.glob("*.partial"))


def test_an_interrupted_writing_leaves_no_file_that_looks_finished(tmp_path):
    def images():
        yield from noise([(2, 3)])
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_ragged(tmp_path / "a.npy", images())
    assert not (tmp_path / "a.npy").exists()


@pytest.mark.parametrize("there", [17, 19])
def test_a_file_of_another_length_is_an_error(tmp_path, there):
    np.save(tmp_path / "a.npy", np.zeros(there, np.uint8))
    with pytest.raises(DamagedError, match=rf"a\.npy .* has {128 + there} bytes.*asks for 146"):
        RaggedPool(tmp_path / "a.npy", np.array([[2, 3, 0]]))


def test_a_pool_takes_its_sizes_from_the_index_in_the_order_of_its_rows(tmp_path):
    images = noise([(2, 3), (4, 1), (1, 1)])
    a, b, c = write_ragged(tmp_path / "test_images.npy", images)[:, 2]
    (tmp_path / "images.csv").write_text(
        "image,pool,row,height,width,crc32\n"
        f'c,test,2,1,1,{c}\n"a,\nb",test,0,2,3,{a}\nx,train,0,9,9,0\nb,test,1,4,1,{b}\n'
    )
    pool = open_pool(tmp_path / "test_images.npy", tmp_path / "images.csv")
    for image, loaded in zip(images, pool.load([0, 1, 2]), strict=True):
        np.testing.assert_array_equal(image, loaded)


def test_rows_of_images_of_one_size_come_back_as_they_are():
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    pool = UniformPool(images)
    assert len(pool) == 5
    for rows in ([3, 0, 3], np.array([3, 0, 3])):
        stacked = pool.stack(rows)
        assert stacked.dtype == np.uint8
        np.testing.assert_array_equal(stacked, images[[3, 0, 3]])
        np.testing.assert_array_equal(pool.load(rows), images[[3, 0, 3]])
    assert pool.stack([]).shape == (0, 4, 6, 3)
    assert pool.load([]) == []


def test_what_a_pool_gives_is_a_copy(tmp_path):
    images = noise([(4, 6), (4, 6)])
    for pool in (UniformPool(np.stack(images)), ragged(tmp_path, images)):
        pool.load([1])[0][:] = 7
        np.testing.assert_array_equal(pool.load([1])[0], images[1])
    pool = UniformPool(np.stack(images))
    pool.stack([1])[:] = 7
    np.testing.assert_array_equal(pool.stack([1])[0], images[1])


def test_an_image_is_checked_the_first_time_that_it_is_read(tmp_path, monkeypatch):
    images = noise([(2, 3), (4, 1), (3, 3)])
    facts = write_ragged(tmp_path / "a.npy", images)
    facts[2, 2] += 1
    pool, checked = RaggedPool(tmp_path / "a.npy", facts), []
    monkeypatch.setattr(
        "distillweighted.tasks.pools.checksum",
        lambda image: checked.append(image.size) or checksum(image),
    )
    for rows in ([1], [0, 1, 0], [1, 0]):
        for row, image in zip(rows, pool.load(rows), strict=True):
            np.testing.assert_array_equal(image, images[row])
    assert checked == [4 * 3, 2 * 3 * 3]
    for _ in range(2):  # a damaged one each time
        with pytest.raises(DamagedError, match="the pixels of image 2"):
            pool.load([0, 2])


@given(data=st.data(), same=st.booleans(), known=st.booleans())
@settings(max_examples=60)
def test_a_part_of_an_image_is_cut_out_of_it(tmp_path_factory, data, same, known):
    """Whatever it is and whether the image was read before; a part of a pool gives the same."""
    images = noise([(4, 6)] * 3 if same else [(4, 6), (5, 3), (2, 7)])
    pool = UniformPool(np.stack(images)) if same else ragged(tmp_path_factory.mktemp("a"), images)
    row = data.draw(st.integers(0, 2))
    if known:
        pool.load([row])
    height, width = images[row].shape[:2]
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    box = (
        top,
        left,
        data.draw(st.integers(1, height - top)),
        data.draw(st.integers(1, width - left)),
    )
    asked = []

    def choose(*shape):
        asked.append(shape)
        return box

    wanted = images[row][top : top + box[2], left : left + box[3]]
    for some, place in ((pool, row), (pool.part([2, row]), 1)):
        found = some.load_part(place, choose)
        np.testing.assert_array_equal(found, wanted)
        found[:] = 7  # it is a copy
    assert asked == [(height, width)] * 2
    np.testing.assert_array_equal(pool.load([row])[0], images[row])


def test_an_image_is_checked_before_a_part_of_it_is_given(tmp_path):
    images = noise([(2, 3), (4, 1)])
    facts = write_ragged(tmp_path / "a.npy", images)
    facts[0, 2] += 1
    pool = RaggedPool(tmp_path / "a.npy", facts)
    for _ in range(2):
        with pytest.raises(DamagedError, match="the pixels of image 0"):
            pool.load_part(0, lambda height, width: (0, 0, 1, 1))
    part = pool.load_part(1, lambda height, width: (1, 0, 2, 1))
    np.testing.assert_array_equal(part, images[1][1:3])


def test_a_file_that_was_cut_short_since_is_an_error(tmp_path):
    images = noise([(2, 3), (4, 1)])
    pool = ragged(tmp_path, images)
    os.truncate(tmp_path / "a.npy", 128 + 2 * 3 * 3 + 5)
    np.testing.assert_array_equal(pool.load([0])[0], images[0])
    with pytest.raises(DamagedError, match="ends before the last pixel of image 1"):
        pool.load([1])


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="lists files as Linux does")
def test_a_pool_that_is_gone_has_no_file_open(tmp_path):
    pool = ragged(tmp_path, noise([(2, 3)]))
    pool.load([0])

    def opened():
        links = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
        return [os.readlink(link) for link in links if os.path.lexists(link)]

    assert str(tmp_path / "a.npy") in opened()
    del pool
    assert str(tmp_path / "a.npy") not in opened()


def test_images_of_many_sizes_cannot_be_stacked(tmp_path):
    pool = ragged(tmp_path, noise([(2, 3), (4, 1)]))
    with pytest.raises(ValueError, match=r"a\.npy: .* many sizes and need a view that resizes"):
        pool.stack([0])


def test_channel_statistics_by_hand():
    images = np.zeros((2, 1, 2, 3), np.uint8)
    images[..., 0] = 51
    images[0, ..., 1] = 255
    mean, std = UniformPool(images).channel_statistics()
    np.testing.assert_allclose(mean, [0.2, 0.5, 0], atol=1e-12)
    np.testing.assert_allclose(std, [0, 0.5, 0], atol=1e-12)


def test_channel_statistics_are_over_all_pixels_whatever_the_sizes(tmp_path):
    """A large image counts for more than a small one."""
    for sides in ([(3, 5)] * 4, [(2, 3), (9, 4), (1, 1)]):
        images = noise(sides)
        pixels = np.concatenate([image.reshape(-1, 3) for image in images]).astype(float) / 255
        pools = [ragged(tmp_path, images)]
        pools += [UniformPool(np.stack(images))] if len(set(sides)) == 1 else []
        for pool in pools:
            mean, std = pool.channel_statistics()
            np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-12)
            np.testing.assert_allclose(std, pixels.std(axis=0), rtol=1e-9)


def test_a_network_sees_fewer_full_size_images_at_once(tmp_path):
    assert UniformPool(np.zeros((2, 4, 4, 3), np.uint8)).inference_batch_size == 250
    assert ragged(tmp_path, noise([(2, 3)])).inference_batch_size == 64


def test_an_array_is_a_pool_and_a_pool_is_itself(tmp_path):
    images = np.stack(noise([(2, 3), (2, 3)]))
    np.testing.assert_array_equal(as_pool(images).stack([0, 1]), images)
    for pool in (UniformPool(images), ragged(tmp_path, images)):
        assert as_pool(pool) is pool


def test_pools_are_read_without_torch():
    program = "import sys, distillweighted.tasks.pools; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(LIBRARY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_images_are_kept_but_for_a_shorter_side_of_256():
    small = Image.fromarray(noise([(30, 40)])[0])
    np.testing.assert_array_equal(stored(small), np.asarray(small))
    wide = Image.fromarray(np.zeros((512, 1000, 3), np.uint8))
    assert stored(wide).shape == (MAX_SIDE, 500, 3)
    assert stored(Image.new("RGB", (300, 4000))).shape == (4000 * 256 // 300, 256, 3)
    # As torchvision's Resize does it.
    from torchvision.transforms import v2

    image = Image.fromarray(noise([(9, 9)])[0]).resize((700, 600))
    np.testing.assert_array_equal(stored(image), np.asarray(v2.Resize(256)(image)))


def test_grey_images_get_three_channels():
    assert stored(Image.new("L", (4, 5), 7)).tolist() == np.full((5, 4, 3), 7).tolist()


def listing(count, open_image):
    examples = tuple(Example(f"{i}.png", 0, "train") for i in range(count))
    return Listing(("a",), examples, open_image, lambda example: None)


@pytest.mark.parametrize("threads", [1, 4])
def test_images_are_decoded_in_order_and_a_few_ahead(threads):
    opened, lock = [], threading.Lock()

    def open_image(example):
        with lock:
            opened.append(example.name)
        return Image.new("RGB", (2, 2), (int(example.name[:-4]), 0, 0))

    images = listing(200, open_image)
    decoded = decode_images(images, images.examples, threads=threads)
    assert next(decoded)[0, 0, 0] == 0
    assert len(opened) <= 4 * threads + 1  # not all of them: memory stays bounded
    assert [int(image[0, 0, 0]) for image in decoded] == list(range(1, 200))


def test_an_image_that_cannot_be_read_stops_the_decoding():
    def open_image(example):
        if example.name == "5.png":
            raise ValueError("5.png is damaged")
        return Image.new("RGB", (2, 2))

    images = listing(9, open_image)
    decoded = decode_images(images, images.examples, threads=2)
    with pytest.raises(ValueError, match="png is damaged"):
        list(decoded)
