"""Views: what a network sees of an image."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as F

from distillweighted.batches import views
from distillweighted.batches.views import (
    AS_STORED,
    PaddedCrop,
    ResizedCrop,
    make_view,
    random_crop,
    random_part,
    strong_augmentation,
)
from distillweighted.tasks.pools import RaggedPool, UniformPool, write_ragged

SETTINGS = {"size": 32, "min_scale": 0.3, "flip": True}


@pytest.fixture
def pool(tmp_path):
    """A square, a wide, a tall and a tiny image; left half dark, right half bright."""
    images = []
    for height, width in ((80, 80), (60, 120), (90, 40), (5, 9)):
        image = np.full((height, width, 3), 40, np.uint8)
        image[:, width // 2 :] = 200
        images.append(image)
    return RaggedPool(tmp_path / "a.npy", write_ragged(tmp_path / "a.npy", images))


def test_stored_images_are_the_named_rows_channels_first():
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    loaded = AS_STORED.plain(UniformPool(images), np.array([3, 0, 3]))
    assert loaded.dtype == torch.uint8
    np.testing.assert_array_equal(loaded.numpy(), images[[3, 0, 3]].transpose(0, 3, 1, 2))


def test_images_of_many_sizes_need_a_view_that_resizes(pool):
    with pytest.raises(ValueError, match="need a view that resizes"):
        AS_STORED.plain(pool, np.array([0]))
    with pytest.raises(ValueError, match="need a view that resizes"):
        AS_STORED.train(pool, np.array([0]), np.random.default_rng(0))


def test_a_plain_view_is_the_middle(pool):
    view = ResizedCrop(**SETTINGS)
    views = view.plain(pool, np.arange(4))
    assert views.shape == (4, 3, 32, 32) and views.dtype == torch.uint8
    # The border between dark and bright is in the middle of the image, so in that of the view.
    assert (views[:3, :, :, :12] == 40).all() and (views[:3, :, :, 20:] == 200).all()
    # Of a wide image, the shorter side is 256/224 of the view: 37 pixels high, 73 wide, of which
    # 32 are seen, about a third of the width.
    wide = torch.arange(120, dtype=torch.uint8).expand(3, 60, 120).permute(1, 2, 0).numpy()
    seen = view.plain(UniformPool(wide[None]), np.array([0]))[0, 0, 16]
    assert seen[0].item() == pytest.approx(120 * (73 - 32) / 2 / 73, abs=1.5)
    assert seen[-1].item() == pytest.approx(120 * (73 + 32) / 2 / 73, abs=1.5)


def test_the_parity_views_are_those_of_the_parc_code(pool):
    from torchvision.transforms import v2

    plain = make_view({**SETTINGS, "size": 224, "kind": "parc", "whole": False})
    theirs = v2.Compose([v2.Resize(256, antialias=True), v2.CenterCrop(224)])
    whole = make_view({**SETTINGS, "size": 224, "kind": "parc", "whole": True})
    images = [torch.from_numpy(image).permute(2, 0, 1) for image in pool.load(range(4))]
    for row, image in enumerate(images):
        assert torch.equal(plain.plain(pool, np.array([row]))[0], theirs(image))
    # PARC shows CIFAR-10 whole, also in training.
    square, rng = np.array([0]), np.random.default_rng(0)
    assert torch.equal(whole.train(pool, square, rng)[0], v2.Resize(224, antialias=True)(images[0]))


def test_draws_do_not_depend_on_threads_and_depend_on_the_generator(pool):
    rows = np.array([0, 1, 2, 3, 0, 0])

    def views(seed, **changes):
        rng = np.random.default_rng(seed)
        return ResizedCrop(**{**SETTINGS, **changes}).train(pool, rows, rng)

    assert torch.equal(views(0), views(0, threads=3))
    assert not torch.equal(views(0), views(1))
    assert not torch.equal(views(0)[4], views(0)[5])  # one image, two draws


def test_half_of_the_training_views_are_mirrored(pool):
    rows = np.zeros(400, int)
    views = ResizedCrop(32, min_scale=1.0, flip=True).train(pool, rows, np.random.default_rng(0))
    mirrored = views[:, 0, 16, 0] > views[:, 0, 16, -1]
    assert 150 < mirrored.sum() < 250
    views = ResizedCrop(32, min_scale=1.0, flip=False).train(pool, rows, np.random.default_rng(0))
    assert not (views[:, 0, 16, 0] > views[:, 0, 16, -1]).any()


@given(
    st.integers(1, 500),
    st.integers(1, 500),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4),
    st.floats(0.01, 1),
)
@settings(max_examples=200)
def test_a_random_part_lies_inside_the_image(height, width, draw, min_scale):
    top, left, h, w = random_part((height, width), np.array(draw), min_scale=min_scale)
    assert 0 <= top <= top + h <= height and h >= 1
    assert 0 <= left <= left + w <= width and w >= 1


def test_a_random_part_has_the_drawn_area_and_ratio():
    # Area (0.5 + 0.5 * 0.5) of 100 x 100 and ratio 1 in the middle of the logarithmic range.
    top, left, h, w = random_part((100, 100), np.array([0.5, 0.5, 0.0, 0.999]), min_scale=0.5)
    assert (h, w) == (round(math.sqrt(7500)),) * 2
    assert (top, left) == (0, 100 - w)


def test_a_crop_without_padding_is_the_image():
    images = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    assert torch.equal(random_crop(images, 0, np.random.default_rng(0)), images)


@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_a_crop_is_a_shift_of_the_mirrored_image(padding, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (6, 3, 5, 7), dtype=np.uint8)
    cropped = random_crop(torch.from_numpy(images), padding, rng)
    assert cropped.dtype == torch.uint8
    borders = [(0, 0), (0, 0), (padding, padding), (padding, padding)]
    padded = np.pad(images, borders, mode="reflect")
    shifts = range(2 * padding + 1)
    for i, crop in enumerate(cropped.numpy()):
        allowed = [padded[i, :, y : y + 5, x : x + 7] for y in shifts for x in shifts]
        assert any(np.array_equal(crop, window) for window in allowed)


def test_every_shift_occurs():
    image = torch.arange(75, dtype=torch.uint8).view(1, 3, 5, 5)
    crops = random_crop(image.expand(400, -1, -1, -1), 1, np.random.default_rng(0))
    counts = torch.unique(crops.flatten(1), dim=0, return_counts=True)[1]
    assert len(counts) == 9
    assert counts.min() > 20  # 44 expected of each


def test_strong_augmentation_depends_on_its_seed_alone():
    images = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (6, 3, 16, 16), dtype=np.uint8)
    )
    torch.manual_seed(3)
    before = torch.get_rng_state()
    strong = strong_augmentation(images, seed=7)
    assert torch.equal(torch.get_rng_state(), before)
    assert strong.shape == images.shape
    assert strong.dtype == torch.uint8
    torch.manual_seed(4)
    assert torch.equal(strong_augmentation(images, seed=7), strong)
    assert not torch.equal(strong_augmentation(images, seed=8), strong)


def test_three_operations_of_any_magnitude_and_a_square_of_up_to_half_the_side(monkeypatch):
    from torchvision.transforms import v2

    asked, applied = [], []

    class Recorded:
        def __init__(self, *, num_ops, magnitude, num_magnitude_bins):
            asked.append((num_ops, magnitude, num_magnitude_bins))
            self.magnitude = magnitude

        def __call__(self, image):
            applied.append(self.magnitude)
            return image

    monkeypatch.setattr(v2, "RandAugment", Recorded)
    monkeypatch.setattr(views, "_operations", views._operations.__wrapped__)
    images = torch.zeros((400, 3, 20, 30), dtype=torch.uint8)
    strong = strong_augmentation(images, seed=0)
    assert asked == [(1, magnitude, 31) for magnitude in range(31)]
    assert len(applied) == 3 * 400 and set(applied) == set(range(31))
    assert set(strong.unique().tolist()) == {0, 127}
    cut = (strong[:, 0] == 127).numpy()
    heights, widths = cut.any(axis=2).sum(axis=1), cut.any(axis=1).sum(axis=1)
    assert (cut.sum(axis=(1, 2)) == heights * widths).all()  # rectangles
    # Half of the shorter side at most; a square at the border is cut off, so smaller is possible.
    assert heights.max() == widths.max() == 10 and heights.min() == 0
    inside = ~(cut[:, [0, -1]].any(axis=(1, 2)) | cut[:, :, [0, -1]].any(axis=(1, 2)))
    assert (abs(heights - widths)[inside] <= 1).all()
    # A square whose side is uniform from 0 to 10 covers 33 of 600 pixels on average; 11% of it
    # lies outside in the mean.
    assert 25 < cut.sum(axis=(1, 2)).mean() < 33


@pytest.mark.parametrize("threads", [1, 2])
def test_a_random_part_is_torchvisions_and_lies_channels_last(pool, threads):
    rows = np.array([1, 0, 1])
    view = ResizedCrop(16, 0.3, flip=True, threads=threads)
    batch = view.train(pool, rows, np.random.default_rng(5))
    assert batch.is_contiguous(memory_format=torch.channels_last)
    draws = np.random.default_rng(5).random((3, 5))
    for image, pixels, draw in zip(batch, pool.load(rows), draws, strict=True):
        pixels = torch.from_numpy(pixels).permute(2, 0, 1)
        part = random_part(pixels.shape[1:], draw, min_scale=0.3)
        wanted = F.resized_crop(pixels, *part, [16, 16], antialias=True)
        assert torch.equal(image, wanted.flip(2) if draw[4] < 0.5 else wanted)


def test_every_view_lies_channels_last(pool):
    images = UniformPool(np.zeros((4, 8, 8, 3), np.uint8))
    rows, rng = np.arange(2), np.random.default_rng(0)
    small, large = PaddedCrop(2), ResizedCrop(16, 0.3, flip=True)
    for batch in (
        small.train(images, rows, rng),
        small.plain(images, rows),
        large.plain(pool, rows),
    ):
        assert batch.is_contiguous(memory_format=torch.channels_last)
