"""One un-augmented pass of a network over all images."""

import threading
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from distillweighted.batches import forward as passes
from distillweighted.batches.forward import Network, forward, forward_together, predict
from distillweighted.batches.views import PaddedCrop, ResizedCrop
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


STATISTICS = {"a": (MEAN, STD), "b": ([0.1, 0.2, 0.3], STD), "c": (tuple(MEAN), tuple(STD))}
VIEW = ResizedCrop(8, min_scale=0.3, flip=True)


class Watched:
    """A view that tells the thread and the moment in which each batch is begun."""

    def __init__(self, damaged=None):
        self.damaged, self.threads = damaged, []
        self.begun = {start: threading.Event() for start in range(0, 40, 10)}

    def plain(self, images, rows):
        if rows[0] == self.damaged:
            raise ValueError(f"image {rows[0]} is damaged")
        self.threads.append(threading.current_thread().name)
        self.begun[rows[0]].set()
        return PaddedCrop(0).plain(images, rows)


def three_networks(device=CPU):
    found = {}
    for seed, (name, statistics) in enumerate(STATISTICS.items()):
        model = build_model(("convnet_tiny", "resnet18_tiny")[seed % 2], 5, seed=seed)
        found[name] = Network(model.to(device).eval().features_and_logits, *statistics)
    return found


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, outputs in expected.items():
        assert len(found[name]) == len(outputs)
        assert all(map(torch.equal, found[name], outputs))


@pytest.mark.parametrize("ahead", [None, False, True])
@pytest.mark.parametrize("batch_size", [None, 64, 7])
def test_networks_say_together_what_each_says_alone(pool, batch_size, ahead):
    networks = three_networks()
    options = {"device": CPU, "view": VIEW, "batch_size": batch_size}
    alone = {}
    for name, one in networks.items():
        alone[name] = forward(one.outputs_of, pool, one.mean, one.std, **options)
        assert [len(outputs) for outputs in alone[name]] == [150, 150]
    assert_same(forward_together(networks, pool, ahead=ahead, **options), alone)


def test_views_are_made_once_and_normalised_once_for_the_same_statistics(monkeypatch):
    normalised = []

    def counting(images, mean, std):
        normalised.append((len(images), mean[0]))
        return normalize(images, mean, std)

    normalize = passes.normalize
    monkeypatch.setattr(passes, "normalize", counting)
    view = Watched()
    networks = {name: Network(channel_means, *STATISTICS[name]) for name in STATISTICS}
    forward_together(networks, IMAGES, device=CPU, view=view, batch_size=20)
    assert len(view.threads) == 2
    assert normalised == [(20, 0.1), (20, 0.5), (20, 0.1), (20, 0.5)]


def test_a_network_that_changes_what_it_sees_leaves_it_to_the_others_as_it_was():
    def careless(batch):
        return channel_means(batch.relu_().mul_(2))

    networks = {"a": Network(careless, MEAN, STD), "b": Network(channel_means, MEAN, STD)}
    found = forward_together(networks, IMAGES, device=CPU, batch_size=16)
    (expected,) = forward(channel_means, IMAGES, MEAN, STD, device=CPU, batch_size=16)
    assert torch.equal(found["b"][0], expected)
    np.testing.assert_allclose(
        found["a"][0], 2 * normalized(IMAGES).relu().mean(dim=(2, 3)), atol=1e-5
    )


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, ValueError, OSError])
def test_a_network_that_fails_is_shown_no_more_and_leaves_the_others_alone(error):
    calls, held = [], []

    def failing(batch):
        calls.append(len(batch))
        activations = batch + 1
        held.append(weakref.ref(activations))
        if len(calls) == 2:
            raise error("out of memory, say")
        return channel_means(batch)

    networks = {"a": Network(failing, MEAN, STD), "b": Network(channel_means, MEAN, STD)}
    found = forward_together(networks, IMAGES, device=CPU, batch_size=10)
    assert (type(found["a"]), str(found["a"])) == (error, "out of memory, say")
    assert calls == [10, 10]
    # What it had computed is gone, though its error is still there.
    assert [tensor() for tensor in held] == [None, None]
    (expected,) = forward(channel_means, IMAGES, MEAN, STD, device=CPU, batch_size=10)
    assert torch.equal(found["b"][0], expected)
    with pytest.raises(error, match="out of memory, say"):
        calls.clear()
        forward(failing, IMAGES, MEAN, STD, device=CPU, batch_size=10)


def test_a_mistake_of_the_program_is_no_networks_failure():
    def wrong(batch):
        raise TypeError("no such thing")

    with pytest.raises(TypeError, match="no such thing"):
        forward_together({"a": Network(wrong, MEAN, STD)}, IMAGES, device=CPU)


def test_the_next_batch_is_prepared_while_a_network_sees_this_one():
    view, seen = Watched(), []

    def outputs_of(batch):
        seen.append(len(batch))
        if len(seen) < 4:
            assert view.begun[10 * len(seen)].wait(timeout=60)
        return channel_means(batch)

    networks = {"a": Network(outputs_of, MEAN, STD)}
    options = {"device": CPU, "batch_size": 10}
    found = forward_together(networks, IMAGES, view=view, ahead=True, **options)
    assert_same(found, {"a": forward(channel_means, IMAGES, MEAN, STD, **options)})
    assert (len(view.threads), len(set(view.threads))) == (4, 1)
    assert threading.current_thread().name not in view.threads
    assert view.threads[0] not in [thread.name for thread in threading.enumerate()]
    # On the CPU nothing is prepared ahead by itself.
    view = Watched()
    forward_together({"a": Network(channel_means, MEAN, STD)}, IMAGES, view=view, **options)
    assert set(view.threads) == {threading.current_thread().name}


@pytest.mark.parametrize("damaged", [0, 20, 30])
@pytest.mark.parametrize("ahead", [True, False])
def test_an_image_that_cannot_be_read_ends_the_pass(ahead, damaged):
    before, networks = threading.active_count(), {"a": Network(channel_means, MEAN, STD)}
    with pytest.raises(ValueError, match=f"^image {damaged} is damaged"):
        forward_together(
            networks, IMAGES, device=CPU, view=Watched(damaged), batch_size=10, ahead=ahead
        )
    assert threading.active_count() == before


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@needs_cuda
@pytest.mark.parametrize("batch_size", [None, 7])
def test_networks_on_cuda_say_together_what_each_says_alone(pool, batch_size):
    device = torch.device("cuda")
    networks, options = three_networks(device), {"view": VIEW, "batch_size": batch_size}
    found = forward_together(networks, pool, device=device, **options)
    same = forward_together(networks, pool, device=device, ahead=False, **options)
    on_cpu = forward_together(three_networks(), pool, device=CPU, **options)
    for name, one in networks.items():
        alone = forward(one.outputs_of, pool, one.mean, one.std, device=device, **options)
        for i, expected in enumerate(alone):
            outputs = found[name][i]
            assert (outputs.device, outputs.is_pinned()) == (CPU, False)
            np.testing.assert_allclose(outputs, expected, atol=1e-5)
            np.testing.assert_allclose(outputs, same[name][i], atol=1e-5)
            np.testing.assert_allclose(outputs, on_cpu[name][i], rtol=0.02, atol=0.02)


@needs_cuda
def test_views_that_a_thread_prepares_for_cuda_are_pinned_and_in_order(pool):
    device, pinned = torch.device("cuda"), []

    class Slow(nn.Module):
        def forward(self, batch):
            # Many copies on their way at once, each of which must arrive whole.
            for _ in range(20):
                torch.mm(torch.ones(2000, 2000, device=device), torch.ones(2000, 1, device=device))
            return (batch[:, :, 0, 0].clone(),)

    to_device = passes.to_device

    def watching(images, where):
        pinned.append(images.is_pinned())
        return to_device(images, where)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "to_device", watching)
        found = forward_together(
            {"a": Network(Slow(), MEAN, STD)}, pool, device=device, view=VIEW, batch_size=7
        )
    assert pinned == [True] * 22
    expected = normalized(np.arange(150)[:, None, None, None] * np.ones((1, 1, 1, 3)))[:, :, 0, 0]
    np.testing.assert_allclose(found["a"][0], expected, atol=1e-5)


@needs_cuda
def test_a_network_without_memory_on_cuda_leaves_the_others_alone(pool):
    device = torch.device("cuda")
    most = torch.cuda.get_device_properties(device).total_memory

    def greedy(batch):
        half = torch.empty(most // 2, dtype=torch.uint8, device=device)
        return (half, torch.empty(most, dtype=torch.uint8, device=device))

    networks = {"a": Network(greedy, MEAN, STD), **three_networks(device)}
    networks["b"] = Network(channel_means, MEAN, STD)
    found = forward_together(networks, pool, device=device, view=VIEW)
    assert isinstance(found["a"], torch.OutOfMemoryError)
    assert torch.cuda.memory_allocated() < most // 2
    (expected,) = forward(channel_means, pool, MEAN, STD, device=CPU, view=VIEW)
    np.testing.assert_allclose(found["b"][0], expected, atol=1e-4)
