"""What a source says of a target's images, and the file that holds it."""

import numpy as np
import pytest
import torch

from distillweighted.batches.normalization import normalize
from distillweighted.batches.views import AS_STORED
from distillweighted.files.tensors import save_tensors
from distillweighted.networks.classifier import build_model
from distillweighted.networks.model_files import load_model, save_model
from distillweighted.sources.outputs import load_inference, save_inference
from distillweighted.sources.together import run_source
from distillweighted.tasks.pools import UniformPool

pytestmark = pytest.mark.usefixtures("one_thread")

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
IMAGES = np.random.default_rng(0).integers(0, 256, (253, 16, 16, 3), dtype=np.uint8)


def save_source(folder, architecture="convnet_tiny", bad=False):
    model = build_model(architecture, 5, seed=1)
    if bad:
        model.head.bias.data[2] = torch.nan
    path = folder / f"{architecture}_fruit" / "model.safetensors"
    path.parent.mkdir()
    meta = {"architecture": architecture, "num_classes": 5, "mean": MEAN, "std": STD}
    save_model(model, path, meta)
    return path


@pytest.mark.parametrize("architecture", ["convnet_tiny", "alexnet_tiny"])
def test_outputs_are_those_of_the_model(tmp_path, architecture):
    path = save_source(tmp_path, architecture)
    outputs = run_source(path, IMAGES[:20], device="cpu")
    model = load_model(path)[0].eval()
    with torch.no_grad():
        floats = normalize(AS_STORED.plain(UniformPool(IMAGES), np.arange(20)), MEAN, STD)
        features, logits = model.backbone(floats), model(floats)
    assert outputs["features"].shape == (20, model.num_features)
    assert outputs["pseudo_labels"].shape == (20, 5)
    np.testing.assert_allclose(outputs["features"], features.numpy(), atol=1e-6)
    exponentials = np.exp(logits.numpy().astype(np.float64))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["pseudo_labels"], expected, atol=1e-6)
    np.testing.assert_allclose(outputs["pseudo_labels"].sum(axis=1), 1, atol=1e-6)
    assert {values.dtype for values in outputs.values()} == {np.dtype(np.float32)}
    assert (outputs["features"].std(axis=0) > 0).any()


def test_the_boundaries_of_batches_do_not_matter(tmp_path):
    path = save_source(tmp_path)
    everything = run_source(path, IMAGES, device="cpu")  # 250 and 3
    first, last = (run_source(path, part, device="cpu") for part in (IMAGES[:37], IMAGES[37:]))
    for name, values in everything.items():
        assert len(values) == 253
        np.testing.assert_allclose(
            values, np.concatenate([first[name], last[name]]), atol=1e-6, err_msg=name
        )


def test_outputs_that_are_not_finite_name_the_source(tmp_path):
    path = save_source(tmp_path, bad=True)
    with pytest.raises(ValueError, match="source convnet_tiny_fruit: its pseudo_labels are not"):
        run_source(path, IMAGES[:3], device="cpu")


def test_outputs_come_back_as_written(tmp_path):
    rng = np.random.default_rng(0)
    outputs = {
        "features": rng.normal(size=(4, 3)).astype(np.float32),
        "pseudo_labels": rng.normal(size=(4, 2)).astype(np.float32),
    }
    path = tmp_path / "source.safetensors"
    save_inference(path, outputs, {"source": "a", "key": "b"})
    assert [file.name for file in tmp_path.iterdir()] == ["source.safetensors"]
    loaded = load_inference(path)
    assert loaded.keys() == outputs.keys()
    for name, values in outputs.items():
        assert loaded[name].dtype == np.float32
        np.testing.assert_array_equal(loaded[name], values)


def test_a_file_of_something_else_is_an_error_that_names_it(tmp_path):
    other = tmp_path / "other.safetensors"
    save_tensors(other, {"weight": np.zeros(2)}, {})
    with pytest.raises(ValueError, match=r"other\.safetensors does not hold.*'weight'"):
        load_inference(other)
