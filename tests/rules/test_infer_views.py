"""Rule infer_views, and students of train_students that learn what it stores."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import CONFIG, INITIAL, SOURCES, TARGET
from safetensors.numpy import load_file

import infer_views
import train_students
from distillweighted.batches import forward as forward_module
from distillweighted.batches.fixed_views import FixedViews
from distillweighted.batches.views import make_view
from distillweighted.files.tensors import load_tensors
from distillweighted.networks.classifier import build_model
from distillweighted.networks.model_files import save_model
from distillweighted.seeds import derive_seed
from distillweighted.sources.jobs import ViewsJob
from distillweighted.sources.origins.registry import ORIGINS
from distillweighted.sources.outputs import load_views, save_inference
from distillweighted.sources.stand_ins import kmeans_pseudo_labels
from distillweighted.sources.together import run_source
from distillweighted.tasks.prepared import read_image_names
from distillweighted.training import cohort
from distillweighted.training.cohort_job import CohortJob
from distillweighted.workflow.run import Run

VIEWED = "distill_views-p12"
RUN = Run.of(
    {
        **CONFIG,
        "inference": {"views": 3},
        "methods": {**CONFIG["methods"], "distill_views": True},
    }
)


def ask(world, source, count=3, output=None, **changes):
    """Run infer_views for a source; returns its file."""
    job = RUN.jobs.views(TARGET, source, count)
    seen = changes.pop("seen", job.seen)
    job = replace(job, seen=seen, inference=replace(job.inference, **changes))
    path = output or Path(world.paths.views(TARGET, count, source))
    return run(world, ViewsJob.of(job.as_params()), path, model=world.model(source))


def run(world, job, path, **files):
    """Run infer_views for one source, which may not fail."""
    folder, images = world.root / "asked", (world.data["train_images"], world.data["index"])
    name = job.inference.source
    infer_views.main({name: job}, {name: files}, *images, folder, threads=1)
    assert [file.name for file in folder.iterdir()] == [f"{name}.safetensors"]
    path.parent.mkdir(parents=True, exist_ok=True)
    return (folder / f"{name}.safetensors").replace(path)


@pytest.fixture
def asked(world):
    """Every source's file of views."""
    return {source: ask(world, source) for source in SOURCES}


def tell(world):
    """What the job that trains a student of views is told."""
    row = RUN.student(TARGET, VIEWED, "0")
    job = CohortJob.of(world.moved(RUN.cohort(TARGET, "0", row.cohort).as_params()))
    (student,) = (s for s in job.students if s.recipe == VIEWED)
    weights = str(world.weights("distill_weighted-p0"))
    return replace(job, students=(replace(student, code="0123", weights=weights),))


def train(world, views, job=None, output="out", **options):
    job = job or tell(world)
    train_students.main(
        replace(job, models=(INITIAL,)),
        world.data,
        {source: world.inference(source) for source in SOURCES},
        {INITIAL: world.model(INITIAL)},
        world.root / output,
        views=views,
        threads=1,
        **options,
    )
    return world.root / output


def batches_of(world, monkeypatch, asked):
    """The batches and the student that a cohort would be trained with."""
    told = []
    monkeypatch.setattr(
        cohort, "train_students", lambda *args, **_: told.append(args[:2]) or iter(())
    )
    train(world, asked)
    (((student,), batches),) = told
    return student, batches


def test_sources_are_asked_about_the_very_views_that_students_see(world, monkeypatch):
    shown, source = [], "resnet50_tiny_textures_a"
    to_device = forward_module.to_device
    monkeypatch.setattr(
        forward_module, "to_device", lambda x, device: shown.append(x) or to_device(x, device)
    )
    asked = {name: ask(world, name) for name in SOURCES if name != source}
    shown.clear()
    asked[source] = ask(world, source)
    pixels = torch.cat(shown)  # as the network got them, uint8 [3 * 60, 3, h, w]
    monkeypatch.undo()
    student, batches = batches_of(world, monkeypatch, asked)
    stored = load_file(asked[source])["pseudo_labels"]
    assert stored.shape == (3 * 60, 6)
    numbers = set()
    for _ in range(4):
        batches.next_step()
        seen, places = batches.unlabeled_fixed(8)
        assert seen.dtype == torch.uint8 and torch.equal(seen, pixels[places])
        assert torch.equal(batches.unlabeled(8)[1], places % 60)
        numbers |= set((places // 60).tolist())
        # The source says of these pixels what the student learns from.
        images = seen.permute(0, 2, 3, 1).contiguous().numpy()
        said = run_source(world.model(source), images, device="cpu")["pseudo_labels"]
        taught = student.pseudo_labels.probabilities[places].split((4, 5, 6), dim=1)[2]
        np.testing.assert_allclose(taught, said, atol=1e-6)
        np.testing.assert_array_equal(taught, stored[places])
    assert numbers == {0, 1, 2}


def test_one_view_that_is_the_image_is_what_was_said_of_the_image(world):
    source = "convnet_tiny_mosaics_a"
    path = ask(world, source, 1, seen={"kind": "padded_crop", "padding": 0})
    stored, facts = load_tensors(path)
    # Features are kept where students learn from them.
    assert list(stored) == ["pseudo_labels"]
    expected = load_file(world.inference(source))["pseudo_labels"]
    np.testing.assert_array_equal(stored["pseudo_labels"], expected)
    assert (facts["source"], facts["target"], facts["views"]) == (source, TARGET, 1)


def test_what_is_stored_does_not_change_and_is_keyed_by_what_made_it(world, tmp_path):
    source = "alexnet_tiny_latin"
    first = ask(world, source)
    again = ask(world, source, output=tmp_path / "again.safetensors", device="auto")
    assert first.read_bytes() == again.read_bytes()
    fewer = ask(world, source, 2, output=tmp_path / "fewer.safetensors")
    labels, facts = load_tensors(first)
    few, other = load_tensors(fewer)
    np.testing.assert_array_equal(labels["pseudo_labels"][:120], few["pseudo_labels"])
    assert facts["key"] != other["key"]


def test_stand_ins_are_of_all_views_together(world, tmp_path):
    source = "alexnet_tiny_latin"
    features = load_file(ask(world, source, head="features"))
    assert features["features"].shape[0] == features["pseudo_labels"].shape[0] == 180
    job = RUN.jobs.inference(TARGET, source)
    seed = derive_seed("k-means", job.target, job.source)
    expected = kmeans_pseudo_labels(features["features"], seed=seed)
    np.testing.assert_array_equal(features["pseudo_labels"], expected)
    clusters = ask(world, source, head="kmeans", output=tmp_path / "k.safetensors")
    assert list(load_file(clusters)) == ["pseudo_labels"]
    np.testing.assert_array_equal(load_file(clusters)["pseudo_labels"], expected)


def test_a_transform_of_the_sources_own_cuts_nothing_off_a_view(world):
    """It would take the middle of 16 of 20 pixels; of a view it takes all, which is its size."""
    name = "cutting"
    world.model(name).parent.mkdir()
    meta = {"architecture": "convnet_tiny", "num_classes": 5, "image_size": 16}
    meta |= {"mean": [0.5] * 3, "std": [0.25] * 3}
    model = build_model("convnet_tiny", 5, seed=3)
    own = {"size": 16, "shorter_side": 20, "interpolation": "bilinear", "mode": "center"}
    save_model(model, world.model(name), {**meta, "input": own})
    job = RUN.jobs.views(TARGET, "alexnet_tiny_latin", 2)
    job = replace(job, inference=replace(job.inference, source=name, view=None))
    path = world.root / "own.safetensors"
    run(world, job, path, model=world.model(name))
    images = np.load(world.data["train_images"])
    views = FixedViews(images, make_view(job.seen), 2, target=TARGET)
    for k in range(2):
        seen = views.pool(k).stack(np.arange(60))
        said = run_source(world.model(name), seen, device="cpu")["pseudo_labels"]
        stored = load_views(path, 2)["pseudo_labels"][60 * k : 60 * (k + 1)]
        np.testing.assert_array_equal(stored, said)


def test_a_program_is_asked_about_whole_views_too(world, monkeypatch):
    asked = []

    def outputs(file, job, facts, images, names, *, threads):
        asked.append((file, facts["input"], len(images), list(names)))
        labels = images.stack(range(60)).reshape(60, -1)[:, :2].astype(np.float32)
        return {"features": labels, "pseudo_labels": labels}

    monkeypatch.setitem(ORIGINS, "program", replace(ORIGINS["program"], outputs=outputs))
    job = RUN.jobs.views(TARGET, "alexnet_tiny_latin", 2)
    job = replace(job, inference=replace(job.inference, origin="program", view=None))
    facts, path = world.root / "meta.json", world.root / "program.safetensors"
    shown = {"size": 16, "shorter_side": 18, "interpolation": "bilinear", "mode": "center"}
    facts.write_text(json.dumps({"source": "program", "input": shown}))
    program = world.model("alexnet_tiny_latin")
    run(world, job, path, model=program, facts=facts)
    names = read_image_names(world.data["index"], "train")
    assert asked == [(program, {**shown, "shorter_side": 16}, 60, names)] * 2
    images = np.load(world.data["train_images"])
    views = FixedViews(images, make_view(job.seen), 2, target=TARGET)
    for k in range(2):
        stored = load_views(path, 2)["pseudo_labels"][60 * k : 60 * (k + 1)]
        np.testing.assert_array_equal(stored, views.pool(k).stack(range(60))[:, 0, 0, :2])


def test_a_source_that_fails_leaves_a_note_and_the_others_are_asked(world):
    source = "alexnet_tiny_latin"
    jobs = dict.fromkeys(("missing", source), RUN.jobs.views(TARGET, source, 2))
    files = {name: {"model": world.model(name)} for name in jobs}
    folder = world.root / "cohort"
    images = world.data["train_images"], world.data["index"]
    infer_views.main(jobs, files, *images, folder, threads=1)
    assert {path.name for path in folder.iterdir()} == {
        "missing.failed.txt",
        f"{source}.safetensors",
    }
    assert load_views(folder / f"{source}.safetensors", 2)["pseudo_labels"].shape == (120, 4)


def test_a_student_of_views_is_trained_again_where_they_changed_alone(world, asked, tmp_path):
    def key(output, **options):
        folder = train(world, asked, output=output, **options) / VIEWED
        return json.loads((folder / "training.json").read_text())["key"]

    before = key("first")
    assert key("second") == before
    first, second = (
        world.root / name / VIEWED / "model.safetensors" for name in ("first", "second")
    )
    assert first.read_bytes() == second.read_bytes()
    # What sources say of the images as they are is none of its business.
    world.inference("alexnet_tiny_latin").write_bytes(b"nothing")
    assert key("third") == before
    path = asked["alexnet_tiny_latin"]
    outputs, facts = load_tensors(path)
    save_inference(path, {"pseudo_labels": outputs["pseudo_labels"][::-1].copy()}, facts)
    assert key("fourth") != before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda world, path: path.write_bytes(ask(world, path.stem, 2).read_bytes()),
            "alexnet_tiny_latin.safetensors is of 2 views of each image, and 3 are asked for",
        ),
        (
            lambda world, path: path.write_bytes(world.inference(path.stem).read_bytes()),
            "alexnet_tiny_latin.safetensors does not hold what a source says of views",
        ),
        (
            lambda world, path: save_inference(
                path, {"pseudo_labels": np.ones((9, 4), np.float32)}, {"views": 3}
            ),
            "holds 9 rows for 60 images in 3 views",
        ),
        (
            lambda world, path: path.write_bytes(b"nothing"),
            "alexnet_tiny_latin.safetensors is dama",
        ),
    ],
)
def test_files_of_other_views_fail_who_learns_from_them_and_say_so(world, asked, damage, message):
    damage(world, asked["alexnet_tiny_latin"])
    job = tell(world)
    transfer = world.member("in_transfer")
    job = replace(job, students=(*job.students, transfer))
    output = train(world, asked, job)
    assert message in (output / VIEWED / "failed.txt").read_text()
    assert (output / "in_transfer" / "model.safetensors").is_file()


def test_labels_stay_hidden(world, asked):
    """With no label but those of the labelled images on this machine, nothing changes."""
    expected = (train(world, asked) / VIEWED / "model.safetensors").read_bytes()
    world.labels.unlink()
    for source, path in asked.items():
        before = path.read_bytes()
        assert ask(world, source).read_bytes() == before
    world.data["test_images"].rename(world.root / "aside")
    assert ask(world, source).read_bytes() == before
    (world.root / "aside").rename(world.data["test_images"])
    again = train(world, asked, output="again") / VIEWED / "model.safetensors"
    assert again.read_bytes() == expected
