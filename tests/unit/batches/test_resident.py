"""Images in a GPU's memory: the same views as the CPU's, within a grey level."""

import numpy as np
import pytest
import torch

from distillweighted.batches.resident import ResidentImages, makes_parts, train_parts
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.batches.views import PaddedCrop, ResizedCrop
from distillweighted.tasks.pools import RaggedPool, UniformPool, write_ragged

DEVICES = [torch.device("cpu")] + [torch.device("cuda")] * torch.cuda.is_available()
SIZES = [(30, 47), (64, 40), (33, 33), (9, 70), (120, 90), (16, 16)]


@pytest.fixture
def pool(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]
    facts = write_ragged(tmp_path / "images.npy", images)
    return RaggedPool(tmp_path / "images.npy", facts)


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("size", [16, 32, 100])
@pytest.mark.parametrize("flip", [False, True])
def test_views_are_the_cpu_s_within_a_grey_level(pool, device, size, flip):
    view, rows = ResizedCrop(size, 0.05, flip), np.array([0, 1, 2, 3, 4, 5] * 5)
    expected = view.train(pool, rows, np.random.default_rng(7))
    found = train_parts(view, ResidentImages(pool, device), rows, np.random.default_rng(7))
    assert found.dtype == torch.uint8 and found.device.type == device.type
    assert found.stride() == expected.stride()
    difference = (found.cpu().int() - expected.int()).abs()
    assert difference.max() <= 1
    assert difference.float().mean() < 0.25


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_a_part_of_the_size_of_the_view_is_copied(pool, device):
    boxes = [(3, 5, 16, 16), (0, 0, 16, 16), (104, 74, 16, 16)]
    rows = np.array([0, 5, 4])
    found = ResidentImages(pool, device).resized(rows, boxes, 16).cpu().permute(0, 2, 3, 1)
    for view, row, (top, left, h, w) in zip(found, rows, boxes, strict=True):
        wanted = pool.load([row])[0][top : top + h, left : left + w]
        np.testing.assert_array_equal(view.numpy(), wanted)


def test_images_of_one_size_are_taken_too():
    images = np.random.default_rng(1).integers(0, 256, (4, 20, 30, 3), dtype=np.uint8)
    pool = UniformPool(images)
    found = ResidentImages(pool, torch.device("cpu")).resized(np.array([2]), [(0, 0, 20, 30)], 10)
    half = torch.from_numpy(images[2]).permute(2, 0, 1)[None].float()
    wanted = torch.nn.functional.interpolate(half, (10, 10), mode="bilinear", antialias=True)
    assert (found.float() - wanted).abs().max() <= 1


def test_views_that_show_no_random_part_are_made_on_the_cpu():
    assert makes_parts(ResizedCrop(16, 0.2, True))
    assert not makes_parts(ResizedCrop(16, 0.2, False, parity=True))
    assert not makes_parts(PaddedCrop(2))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_cuda_makes_the_batches_of_images_that_its_memory_holds(pool):
    """Images, labels and rows are the CPU's; so is what is saved, and what comes later."""
    rows, gpu = np.arange(len(SIZES)), torch.device("cuda")

    def batches():
        return TargetBatches(pool, rows, rows + 10, rows, view=ResizedCrop(32, 0.2, True), seed=0)

    plain, there = batches(), batches()
    with there.ahead(gpu):
        for _ in range(5):
            plain.next_step()
            there.next_step()
            for name in ("labeled", "unlabeled"):
                (images, known), (wanted, wanted_known) = (
                    getattr(one, name)(4) for one in (there, plain)
                )
                assert images.is_cuda and known.is_cuda
                assert torch.equal(known.cpu(), wanted_known)
                assert (images.cpu().int() - wanted.int()).abs().max() <= 1
        assert str(there.state()) == str(plain.state())
    plain.next_step()
    there.next_step()
    assert torch.equal(there.labeled(4)[0], plain.labeled(4)[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_cuda_memory_that_is_too_small_holds_no_images(pool, monkeypatch):
    wanted = 3 * sum(h * w for h, w in SIZES)
    for free, fits in ((2 * wanted, True), (2 * wanted - 1, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, free))
        assert (ResidentImages.if_it_fits(pool, torch.device("cuda")) is not None) == fits
