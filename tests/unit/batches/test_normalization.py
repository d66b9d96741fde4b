"""Images as the floats that a network reads."""

import numpy as np
import torch

from distillweighted.batches.normalization import normalize, to_device


def test_normalize_by_hand():
    image = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    floats = normalize(image, [0.5, 0.2, 0.0], [0.5, 0.1, 0.25])
    assert floats.dtype == torch.float32
    assert floats.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(floats[0, :, 1, 0].numpy(), [-1, 0, 4], atol=1e-6)
    assert image[0, 1, 0, 0] == 51  # the input stays


def test_images_come_to_a_device_as_they_are():
    images = torch.arange(24, dtype=torch.uint8).view(2, 3, 2, 2)
    where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = to_device(images, where)
    assert there.device.type == where.type
    assert torch.equal(there.cpu(), images)
