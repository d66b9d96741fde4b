"""Images decoded once, of many sizes, in one file."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from distillweighted.errors import DamagedError
from distillweighted.tasks.decoding import MAX_SIDE, decode_images, stored
from distillweighted.tasks.listing import Example, Listing
from distillweighted.tasks.pools import RaggedImages, open_pool, write_ragged

SIDES = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12)


def noise(sides):
    rng = np.random.default_rng(len(sides))
    return [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in sides]


@given(sides=SIDES, data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_rows_come_back_as_written(tmp_path_factory, sides, data):
    path, images = tmp_path_factory.mktemp("store") / "train_images.npy", noise(sides)
    sizes = write_ragged(path, iter(images))
    assert sizes[:, :2].tolist() == [list(side) for side in sides]
    pool = RaggedImages(path, sizes)
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
        RaggedImages(tmp_path / "a.npy", np.array([[2, 3, 0]]))


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
