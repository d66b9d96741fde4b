"""Images as the floats that a network reads."""

import numpy as np
import pytest
import torch

from distillweighted.batches.normalization import normalize, to_device


def test_normalize_by_hand():
    image = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    floats = normalize(image, [0.5, 0.2, 0.0], [0.5, 0.1, 0.25])
    assert floats.dtype == torch.float32
    assert floats.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(floats[0, :, 1, 0].numpy(), [-1, 0, 4], atol=1e-6)
    assert image[0, 1, 0, 0] == 51  # the input stays


def test_a_channel_that_never_varies_becomes_zero():
    image = torch.tensor([7, 51, 0], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    floats = normalize(image, [7 / 255, 0.1, 0.0], [0.0, 0.1, 0.0])
    np.testing.assert_allclose(floats[0, :, 0, 0].numpy(), [0, 1, 0], atol=1e-6)


@pytest.mark.parametrize("channels_last", [True, False])
def test_every_value_is_normalised_to_rounding(channels_last):
    """A product and a sum, instead of two quotients and a difference: 2 units in the last place of
    the largest value, whatever lies where in memory."""
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    image = torch.arange(256, dtype=torch.uint8).view(16, 16).expand(2, 3, 16, 16).contiguous()
    image[1] = image[1].flip(1)
    if channels_last:
        image = image.contiguous(memory_format=torch.channels_last)
    wanted = (image.numpy() / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    floats = normalize(image, mean, std)
    assert floats.is_contiguous(memory_format=torch.channels_last)
    largest = np.float32(np.abs(wanted).max())
    np.testing.assert_allclose(floats.numpy(), wanted, rtol=0, atol=2 * np.spacing(largest))
    floats.zero_()  # what it remembers of means and widths is not what it gives
    again = normalize(image[..., :8], mean, std), normalize(image, mean, std)
    for values, part in zip(again, (wanted[..., :8], wanted), strict=True):
        np.testing.assert_allclose(values.numpy(), part, rtol=0, atol=2 * np.spacing(largest))
    other = torch.full_like(floats, 7.0)
    into = normalize(image, mean, std, into=other)
    assert into.data_ptr() == other.data_ptr() and torch.equal(into, again[1])
    assert into.is_contiguous(memory_format=torch.channels_last)


def test_images_come_to_a_device_as_they_are():
    images = torch.arange(24, dtype=torch.uint8).view(2, 3, 2, 2)
    where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = to_device(images, where)
    assert there.device.type == where.type
    assert torch.equal(there.cpu(), images)
