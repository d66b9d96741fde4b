"""One un-augmented pass of a network over all images."""

import numpy as np
import pytest
import torch
from torch import nn

from distillweighted.batches.forward import forward, predict
from distillweighted.batches.views import ResizedCrop
from distillweighted.networks.classifier import build_model
from distillweighted.tasks.pools import RaggedPool, UniformPool, write_ragged

CPU = torch.device("cpu")
MEAN, STD = [0.5, 0.5, 0.5], [0.25, 0.25, 0.3]
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)

pytestmark = pytest.mark.usefixtures("one_thread")


def normalized(images):
    """Images uint8 [n, h, w, 3] as a network reads them, float32 [n, 3, h, w]."""
    return torch.from_numpy(((images / 255 - MEAN) / STD).astype(np.float32)).permute(0, 3, 1, 2)


def channel_means(batch):
    return (batch.mean(dim=(2, 3)),)


@pytest.fixture
def pool(tmp_path):
    """150 images of one colour each and of many sizes: row i has the value i."""
    sides = np.random.default_rng(0).integers(4, 20, (150, 2))
    images = [np.full((h, w, 3), row, np.uint8) for row, (h, w) in enumerate(sides)]
    return RaggedPool(tmp_path / "a.npy", write_ragged(tmp_path / "a.npy", images))


@pytest.mark.parametrize("batch_size", [None, 40, 39, 7, 1])
def test_every_output_is_in_the_order_of_the_images_whatever_the_size_of_a_batch(batch_size):
    def outputs_of(batch):
        return *channel_means(batch), batch.half()

    means, halves = forward(outputs_of, IMAGES, MEAN, STD, device=CPU, batch_size=batch_size)
    expected = normalized(IMAGES)
    assert (means.shape, halves.shape) == ((40, 3), (40, 3, 16, 16))
    assert (means.dtype, halves.dtype) == (torch.float32, torch.float32)
    np.testing.assert_allclose(means, expected.mean(dim=(2, 3)), atol=1e-6)
    np.testing.assert_allclose(halves, expected, atol=1e-3)


def test_a_pool_gives_what_its_array_gives():
    (expected,) = forward(channel_means, IMAGES, MEAN, STD, device=CPU)
    (means,) = forward(channel_means, UniformPool(IMAGES), MEAN, STD, device=CPU)
    assert torch.equal(means, expected)


def test_images_of_many_sizes_pass_in_order_through_a_view_that_resizes(pool):
    view = ResizedCrop(8, min_scale=0.3, flip=True)
    expected = normalized(np.arange(150)[:, None, None, None] * np.ones((1, 1, 1, 3)))[:, :, 0, 0]
    for size in (None, 200, 11):
        (means,) = forward(channel_means, pool, MEAN, STD, device=CPU, view=view, batch_size=size)
        np.testing.assert_allclose(means, expected, atol=1e-5)
    with pytest.raises(ValueError, match="need a view that resizes"):
        forward(channel_means, pool, MEAN, STD, device=CPU)


def test_a_network_sees_as_many_images_at_once_as_suit_the_pool(pool):
    sizes = []

    def outputs_of(batch):
        sizes.append(len(batch))
        return (batch[:, 0, 0, 0],)

    view = ResizedCrop(4, min_scale=0.3, flip=True)
    forward(outputs_of, pool, MEAN, STD, device=CPU, view=view)
    assert sizes == [64, 64, 22]
    sizes.clear()
    forward(outputs_of, np.zeros((253, 4, 4, 3), np.uint8), MEAN, STD, device=CPU)
    assert sizes == [250, 3]


def test_no_gradients_are_kept():
    weight = nn.Parameter(torch.ones(3))
    (outputs,) = forward(lambda batch: (batch[:, :, 0, 0] * weight,), IMAGES, MEAN, STD, device=CPU)
    assert not outputs.requires_grad


def test_predict_is_the_model_on_images_as_they_are():
    model = build_model("alexnet_tiny", 3, seed=0)
    with torch.no_grad():
        expected = model.eval()(normalized(IMAGES))
    model.train()  # predict turns dropout off by itself
    for size in (250, 7, 1):
        logits = predict(model, IMAGES, MEAN, STD, device=CPU, batch_size=size)
        assert logits.shape == (40, 3)
        np.testing.assert_allclose(logits.numpy(), expected.numpy(), atol=1e-6)
