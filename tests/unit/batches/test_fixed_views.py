"""Fixed views: drawn once, and the same for whoever asks."""

import numpy as np
import pytest
import torch

from distillweighted.batches.fixed_views import FixedViews
from distillweighted.batches.views import make_view
from distillweighted.tasks.pools import RaggedPool, UniformPool, write_ragged

CROP = {"kind": "padded_crop", "padding": 2}
RESIZED = {"kind": "resized_crop", "size": 16, "min_scale": 0.3, "flip": True}
PARC = {"kind": "parc", "size": 16, "min_scale": 0.08, "flip": False}
WHOLE = {**PARC, "whole": True}
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 20, 20, 3), dtype=np.uint8)


def draw(settings, count=3, target="fruit", images=IMAGES):
    return FixedViews(images, make_view(settings), count, target=target)


def everything(views, n=12):
    return torch.stack([views.show(np.arange(n), k) for k in range(len(views))])


@pytest.mark.parametrize("settings", [CROP, RESIZED, PARC, WHOLE])
def test_an_augmented_batch_is_what_was_drawn_for_it(settings):
    view, pool, rows = make_view(settings), UniformPool(IMAGES), np.array([3, 3, 0, 11])
    expected = view.train(pool, rows, np.random.default_rng(4))
    draws = view.draws(4, np.random.default_rng(4))
    assert draws.shape == (
        4,
        {"padded_crop": 2}.get(settings["kind"], 0 if "whole" in settings else 5),
    )
    assert torch.equal(view.drawn(pool, rows, draws), expected)
    # An image's view is drawn by its own row, whatever its company.
    assert torch.equal(view.drawn(pool, rows[2:3], draws[2:3]), expected[2:3])


@pytest.mark.parametrize("settings", [CROP, RESIZED, PARC])
def test_views_are_the_same_for_whoever_asks(settings):
    views, seen = draw(settings), everything(draw(settings))
    assert len(views) == 3 and seen.dtype == torch.uint8
    rows, numbers = np.array([7, 0, 7, 11, 7]), np.array([2, 0, 1, 2, 2])
    assert torch.equal(views.show(rows, numbers), seen[numbers, rows])
    # A view more changes no other.
    assert torch.equal(everything(draw(settings, 2)), seen[:2])
    for k in range(3):
        pool = views.pool(k)
        assert len(pool) == 12
        np.testing.assert_array_equal(pool.stack(rows), seen[k, rows].permute(0, 2, 3, 1).numpy())
        assert all(map(np.array_equal, pool.load(rows), pool.stack(rows)))
        assert pool.sizes.tolist() == [list(seen.shape[3:])] * 12
        part = pool.load_part(7, lambda height, width: (2, 3, height - 5, width - 4))
        np.testing.assert_array_equal(part, pool.stack([7])[0, 2:-3, 3:-1])
        mean, std = pool.channel_statistics()
        pixels = pool.stack(np.arange(12)).reshape(-1, 3) / 255
        np.testing.assert_allclose([mean, std], [pixels.mean(axis=0), pixels.std(axis=0)])


def test_views_of_an_image_differ_and_so_do_those_of_targets():
    seen, other = everything(draw(CROP, 8)), everything(draw(CROP, 8, target="nuts"))
    assert not torch.equal(seen, other)
    for row in range(12):
        # 8 of 25 shifts: about 7 different ones.
        assert len({view.numpy().tobytes() for view in seen[:, row]}) >= 4


def test_views_that_are_not_augmented_are_the_images():
    for settings in ({"kind": "padded_crop", "padding": 0}, WHOLE):
        view = make_view(settings)
        plain = view.plain(UniformPool(IMAGES), np.arange(12))
        assert all(torch.equal(one, plain) for one in everything(draw(settings)))


def test_places_are_those_of_views_side_by_side():
    views = draw(CROP)
    numbers, rows = np.repeat(np.arange(3), 12), np.tile(np.arange(12), 3)
    np.testing.assert_array_equal(views.places(rows, numbers), np.arange(36))


def test_views_of_images_of_many_sizes_have_one_size(tmp_path):
    images = [np.full((side, 30, 3), side, np.uint8) for side in (20, 40, 25)]
    pool = RaggedPool(tmp_path / "a.npy", write_ragged(tmp_path / "a.npy", images))
    views = draw(RESIZED, images=pool)
    stacked = views.pool(1).stack(np.arange(3))
    assert stacked.shape == (3, 16, 16, 3)
    assert (stacked == np.reshape([20, 40, 25], (3, 1, 1, 1))).all()
    assert views.pool(1).inference_batch_size == pool.inference_batch_size
