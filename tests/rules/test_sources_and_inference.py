"""Rules train_source and infer_sources."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import RUN, SOURCES
from safetensors import safe_open

import infer_sources
import train_source
from distillweighted.batches.forward import forward_together, predict
from distillweighted.files.checksums import fingerprint_files
from distillweighted.networks.cost import count_macs, count_parameters
from distillweighted.networks.model_files import load_model
from distillweighted.sources import asking, together
from distillweighted.sources.outputs import load_inference
from distillweighted.training.resumption import TrainingStopped
from distillweighted.training.source_job import SourceSettings

VIEW = RUN.tasks["lesions_b"].view(RUN.config)
SETTINGS = {
    "steps": 20,
    "batch_size": 12,
    "learning_rate": 0.004,
    "weight_decay": 0.01,
}


def train(world, name="convnet_tiny_fruit", seed=0, **options):
    model, meta = world.root / f"{name}{seed}.safetensors", world.root / f"{name}{seed}.json"
    checkpoint = options.pop("checkpoint", world.root / "source.pt")
    job = replace(
        RUN.jobs.source("convnet_tiny_mosaics_a"),
        name=name,
        seed=seed,
        settings=SourceSettings(**SETTINGS),
        checkpoint=str(checkpoint),
    )
    train_source.main(job, world.labels.parent, None, model, meta, threads=1, **options)
    return model, meta


def test_a_source_is_trained_on_all_labels_and_described(world):
    path, meta_path = train(world)
    meta = json.loads(meta_path.read_text())
    model, stored = load_model(path)
    assert stored == meta
    assert (meta["source"], meta["architecture"]) == ("convnet_tiny_fruit", "convnet_tiny")
    assert (meta["task"], meta["classes"]) == ("lesions_b", ["fig", "lime", "plum"])
    assert meta["gmacs"] == count_macs(model, 16) / 1e9
    assert meta["parameters"] == count_parameters(model)
    assert (meta["settings"], meta["seed"]) == (SETTINGS, 0)
    pixels = np.load(world.data["train_images"]).reshape(-1, 3) / 255
    np.testing.assert_allclose(meta["mean"], pixels.mean(axis=0))
    np.testing.assert_allclose(meta["std"], pixels.std(axis=0))
    # Brightness tells the classes apart: far above chance.
    assert meta["test_accuracy"] > 60
    test = np.load(world.data["test_images"])
    predicted = predict(model, test, meta["mean"], meta["std"], device=torch.device("cpu"))
    labels = np.genfromtxt(world.labels, delimiter=",", skip_header=61, usecols=1)
    right = predicted.argmax(dim=1).numpy() == labels
    assert meta["test_accuracy"] == 100 * right.mean()


def test_a_source_depends_on_its_name_and_seed(world):
    first, again = (train(world)[0].read_bytes() for _ in range(2))
    assert first == again

    def head(name, seed):
        return load_model(train(world, name, seed)[0])[0].head.weight

    weight = head("convnet_tiny_fruit", 0)
    assert not torch.equal(weight, head("convnet_tiny_fruit", 1))
    assert not torch.equal(weight, head("convnet_tiny_other", 0))


def test_inference_has_a_row_for_every_training_image_and_says_what_made_it(world):
    for source, classes in {
        "alexnet_tiny_latin": 4,
        "convnet_tiny_mosaics_a": 5,
        "resnet50_tiny_textures_a": 6,
    }.items():
        outputs = load_inference(world.inference(source))
        model = load_model(world.model(source))[0]
        assert outputs["pseudo_labels"].shape == (60, classes)
        assert outputs["features"].shape == (60, model.num_features)
        with safe_open(world.inference(source), framework="np") as file:
            meta = json.loads(file.metadata()["distillweighted"])
        files = [world.data["train_images"], world.data["index"], world.model(source)]
        key = f"{fingerprint_files(files)}:{json.dumps([VIEW, None, 'softmax'])}"
        assert len(meta.pop("checksum")) == 64
        assert meta == {"source": source, "target": "lesions_b", "key": key}


@pytest.mark.parametrize("code", ["0123", "4567"])
def test_a_stopped_source_goes_on_where_it_was_unless_something_changed(world, steps, code):
    expected = train(world)[0].read_bytes()
    checkpoint = world.root / "checkpoints" / "source.pt"
    steps.count, steps.stop = 0, 7
    with pytest.raises(TrainingStopped, match="after step 7 of 20"):
        train(world, code="0123", checkpoint=checkpoint)
    assert train(world, code=code, checkpoint=checkpoint)[0].read_bytes() == expected
    assert steps.count == (20 if code == "0123" else 7 + 20)
    assert not checkpoint.exists()


def test_copies_on_another_disk_change_nothing(world, tmp_path):
    expected = train(world)[0].read_bytes()
    assert train(world, scratch=str(tmp_path))[0].read_bytes() == expected
    output = tmp_path / "outputs.safetensors"
    world.infer("alexnet_tiny_latin", output, scratch=str(tmp_path))
    assert output.read_bytes() == world.inference("alexnet_tiny_latin").read_bytes()
    copies = sorted(path.name for path in tmp_path.glob("distillweighted-*/*/*.npy"))
    assert copies == ["test_images.npy", "train_images.npy"]


def ask_all(world, folder, *sources, **options):
    """Run infer_sources on a cohort."""
    infer_sources.main(
        {name: RUN.jobs.inference("lesions_b", name) for name in sources},
        {name: {"model": world.model(name)} for name in sources},
        world.data["train_images"],
        world.data["index"],
        folder,
        threads=1,
        **options,
    )


def test_a_cohort_is_asked_in_one_pass_and_each_file_is_that_of_the_source_alone(
    world, tmp_path, monkeypatch
):
    opened, open_pool = [], asking.open_pool
    monkeypatch.setattr(asking, "open_pool", lambda *args: opened.append(args) or open_pool(*args))

    def passing(networks, *args, **options):
        passes.append(list(networks))
        return forward_together(networks, *args, **options)

    passes: list[list[str]] = []
    monkeypatch.setattr(together, "forward_together", passing)
    ask_all(world, tmp_path / "cohort", *SOURCES, scratch=str(tmp_path))
    assert (len(opened), passes) == (1, [list(SOURCES)])
    for source in SOURCES:
        written = tmp_path / f"cohort/{source}.safetensors"
        assert written.read_bytes() == world.inference(source).read_bytes()


def test_a_source_that_fails_leaves_a_note_and_the_others_are_asked(world):
    folder, (first, broken, last) = world.root / "cohort", SOURCES
    (folder / "left").mkdir(parents=True)
    path = world.model(broken)
    path.write_bytes(path.read_bytes()[:-1])
    ask_all(world, folder, *SOURCES)
    files = {path.name for path in folder.iterdir()}
    assert files == {f"{first}.safetensors", f"{broken}.failed.txt", f"{last}.safetensors"}
    for source in (first, last):
        written = (folder / f"{source}.safetensors").read_bytes()
        assert written == world.inference(source).read_bytes()
    note = (folder / f"{broken}.failed.txt").read_text()
    assert note.startswith(f"error: {path} is damaged: ")
    assert f"remove {folder}" in note
    with pytest.raises(ValueError, match="is damaged") as raised:
        world.infer(broken, folder / "alone")
    assert note.startswith(f"error: {raised.value}\n")


def test_damaged_images_are_told_of_every_source(world):
    images = world.data["train_images"]
    content = bytearray(images.read_bytes())
    content[-1] ^= 1
    images.write_bytes(content)
    folder = world.root / "cohort"
    ask_all(world, folder, *SOURCES)
    assert {path.name for path in folder.iterdir()} == {f"{name}.failed.txt" for name in SOURCES}
    for note in folder.iterdir():
        assert note.read_text().startswith(f"error: {images} is damaged: the pixels of image 59 do")
