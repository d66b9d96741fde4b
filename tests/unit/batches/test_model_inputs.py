"""What a model sees is what timm's and torchvision's own transforms show it."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from distillweighted.batches.model_inputs import ModelInput
from distillweighted.batches.views import make_view
from distillweighted.tasks.pools import UniformPool

SIDES = st.integers(5, 90)


def picture(height, width):
    """A ramp with noise, so that a shift by half a pixel shows."""
    rng = np.random.default_rng(height * 1000 + width)
    ramp = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 100, width))
    return (ramp[..., None] + rng.integers(0, 36, (height, width, 3))).astype(np.uint8)


@settings(max_examples=40)
@given(
    height=SIDES, width=SIDES, size=st.integers(8, 48),
    crop_pct=st.sampled_from([0.875, 0.9, 0.95, 1.0]),
    mode=st.sampled_from(["center", "squash", "border"]),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
)  # fmt: skip
@example(40, 40, 40, 1.0, "center", "bicubic")
@example(5, 90, 33, 1.0, "border", "bilinear")
def test_it_is_timms_evaluation_transform(height, width, size, crop_pct, mode, interpolation):
    from timm.data import create_transform

    mean = (0.5, 0.25, 0.75)
    transform = create_transform(
        (3, size, size), crop_pct=crop_pct, crop_mode=mode, interpolation=interpolation, mean=mean,
        std=(1.0, 1.0, 1.0),
    )  # fmt: skip
    image = picture(height, width)
    shown = transform(Image.fromarray(image)) + torch.tensor(mean).view(3, 1, 1)
    fill = [round(255 * value) for value in mean]
    view = ModelInput(size, int(size / crop_pct), interpolation, mode, fill)
    seen = view.plain(UniformPool(image[None]), np.array([0]))[0]
    assert seen.shape == (3, size, size) and seen.dtype == torch.uint8
    assert (seen.float() - 255 * shown).abs().max() < 1


def test_images_of_its_own_size_are_shown_as_they_are():
    images = np.stack([picture(24, 24), picture(24, 24)[::-1]])
    view = make_view({"kind": "model_input", "size": 24, "shorter_side": 24}, threads=2)
    seen = view.plain(UniformPool(images), np.array([1, 0]))
    np.testing.assert_array_equal(seen.permute(0, 2, 3, 1), images[[1, 0]])


def test_it_is_torchvisions_preset():
    from torchvision.transforms._presets import ImageClassification

    preset = ImageClassification(crop_size=32, resize_size=37, mean=(0.0,) * 3, std=(1.0,) * 3)
    image = picture(50, 71)
    seen = ModelInput(32, 37).plain(UniformPool(image[None]), np.array([0]))[0]
    assert (seen.float() - 255 * preset(Image.fromarray(image))).abs().max() < 1


def test_nothing_is_trained_on_it():
    with pytest.raises(NotImplementedError):
        ModelInput(8, 8).train(None, None, None)
