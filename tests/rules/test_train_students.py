"""Rule train_students: a cohort's files, failures that stay alone, and what is taken over."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

from distillweighted.batches.forward import predict
from distillweighted.files.tensors import save_tensors
from distillweighted.losses import label_information
from distillweighted.networks.classifier import build_model
from distillweighted.networks.model_files import load_model, save_model
from distillweighted.seeds import derive_seed
from distillweighted.similarity.linear_probe import fit_probe
from distillweighted.similarity.tables import read_weights
from distillweighted.sources.outputs import save_inference
from distillweighted.sources.stand_ins import standardize
from distillweighted.tasks.prepared import checksum, read_image_names
from distillweighted.training import cohort
from distillweighted.training.resumption import TrainingStopped

SOURCES = ("alexnet_tiny_latin", "convnet_tiny_mosaics_a", "resnet50_tiny_textures_a")
RECIPES = (
    "distill_single-alexnet_tiny_latin",
    "distill_weighted-p0",
    "in_transfer",
    "in_fixmatch",
    "finetune_selected_source-alexnet_tiny",
)
SINGLE, WEIGHTED, TRANSFER, FIXMATCH, FINETUNED = RECIPES
FILES = ("model.safetensors", "history.csv", "predictions.csv")


@pytest.fixture
def planned(monkeypatch):
    """Trains nothing; collects what would have been trained."""
    plans = []

    def collect(asked, *_, **__):
        plans.extend(asked)
        return iter(())

    monkeypatch.setattr(cohort, "train_students", collect)
    return plans


def names(plans):
    return {plan.recipe for plan in plans}


def bytes_of(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_member_has_its_files(trained, recipe):
    folder = trained.root / "cohort0" / recipe
    assert {path.name for path in folder.iterdir()} == {*FILES, "training.json"}
    model, meta = load_model(folder / "model.safetensors")
    assert model.head.out_features == meta["num_classes"] == 3
    assert meta["architecture"] == trained.member(recipe).architecture
    assert pd.read_csv(folder / "history.csv")["step"].tolist() == [1, 2, 3]
    predictions = pd.read_csv(folder / "predictions.csv")
    assert predictions["image"].tolist() == read_image_names(trained.data["index"], "test")
    test = np.load(trained.data["test_images"])
    logits = predict(model, test, meta["mean"], meta["std"], device=torch.device("cpu"))
    assert predictions["predicted"].tolist() == logits.argmax(dim=1).tolist()


def test_members_name_their_sources(trained):
    def sources(recipe):
        facts = json.loads((trained.root / "cohort0" / recipe / "training.json").read_text())
        return facts["selected_sources"]

    assert sources(SINGLE) == ["alexnet_tiny_latin"]
    assert sources(WEIGHTED) == [
        "alexnet_tiny_latin",
        "convnet_tiny_mosaics_a",
        "resnet50_tiny_textures_a",
    ]
    assert sources(TRANSFER) == sources(FIXMATCH) == []
    assert sources(FINETUNED) == ["alexnet_tiny_latin"]


def test_company_does_not_matter(world, trained):
    alone = world.train("alone", [WEIGHTED])
    assert bytes_of(alone / WEIGHTED) == bytes_of(trained.root / "cohort0" / WEIGHTED)


def test_copies_on_another_disk_change_nothing(world, trained, tmp_path, monkeypatch):
    monkeypatch.setenv("NODE_DISK", str(tmp_path / "node"))
    opened = []
    open_pool = cohort.open_pool
    monkeypatch.setattr(
        cohort, "open_pool", lambda *files: opened.append(files[0]) or open_pool(*files)
    )
    output = world.train("cohort", [WEIGHTED], scratch="$NODE_DISK")
    assert [path.name for path in opened] == ["train_images.npy", "test_images.npy"]
    assert all(path.is_relative_to(tmp_path / "node") for path in opened)
    assert bytes_of(output / WEIGHTED) == bytes_of(trained.root / "cohort0" / WEIGHTED)
    # Nor is a student trained again that was finished without them.
    key = json.loads((output / WEIGHTED / "training.json").read_text())["key"]
    other = json.loads((trained.root / "cohort0" / WEIGHTED / "training.json").read_text())["key"]
    assert key == other


def test_hidden_labels_stay_hidden(world, trained):
    """No label but those of the labelled images is on this machine, and nothing changes."""
    world.labels.unlink()
    output = world.train("cohort")
    for recipe in RECIPES:
        assert bytes_of(output / recipe) == bytes_of(trained.root / "cohort0" / recipe)
    files = {"train_images", "test_images", "index", "meta", "split", "labeled"}
    assert set(world.data) == files
    labeled = pd.read_csv(world.data["labeled"])["image"]
    split = pd.read_csv(world.data["split"])
    assert set(labeled) == set(split.loc[split["split"] == "labeled", "image"])
    for name in ("index", "split"):
        assert "label" not in pd.read_csv(world.data[name]).columns


def test_a_plan_is_what_its_member_says(world, planned):
    pd.DataFrame(
        {
            "source": ["alexnet_tiny_latin", "convnet_tiny_mosaics_a", "resnet50_tiny_textures_a"],
            "weight": [0.75, 0, 0.25],
        }
    ).to_csv(world.weights(WEIGHTED), index=False)
    world.train("out")
    plans = {plan.recipe: plan for plan in planned}
    weighted = plans[WEIGHTED].pseudo_labels
    # A weight of 0 is absent: no head, no pseudo-labels.
    assert weighted.names == ("alexnet_tiny_latin", "resnet50_tiny_textures_a")
    assert weighted.sizes == (4, 6)
    np.testing.assert_array_equal(weighted.weights, [0.75, 0.25])
    stored = [load_file(world.inference(name))["pseudo_labels"] for name in weighted.names]
    np.testing.assert_array_equal(weighted.probabilities.numpy(), np.concatenate(stored, axis=1))
    single = plans[SINGLE].pseudo_labels
    assert (single.names, single.sizes, single.weights.tolist()) == (
        ("alexnet_tiny_latin",),
        (4,),
        [1],
    )
    for recipe in (TRANSFER, FIXMATCH, FINETUNED):
        assert plans[recipe].pseudo_labels is None
    # All start from their file, with one and the same new head.
    initial = load_model(world.model("convnet_tiny_generalist"))[0]
    source = load_model(world.model("alexnet_tiny_latin"))[0]
    for recipe, plan in plans.items():
        start = source if recipe == FINETUNED else initial
        expected = start.backbone.state_dict()
        for name, tensor in plan.model.backbone.state_dict().items():
            assert torch.equal(tensor, expected[name])
        if recipe != FINETUNED:
            assert torch.equal(plan.model.head.weight, plans[TRANSFER].model.head.weight)
    assert [plan.objective for plan in planned] == [
        "distill",
        "distill",
        "transfer",
        "fixmatch",
        "transfer",
    ]


def test_a_random_start_is_normalised_with_the_targets_own_statistics(world, planned):
    world.train("out", members=[replace(world.member(TRANSFER), initial=None)])
    (plan,) = planned
    pixels = np.load(world.data["train_images"]).reshape(-1, 3) / 255
    np.testing.assert_allclose(plan.mean, pixels.mean(axis=0))
    np.testing.assert_allclose(plan.std, pixels.std(axis=0))


def test_distilling_on_the_labelled_images_too(world, monkeypatch):
    drawn = {}

    def collect(plans, batches, *_, **__):
        batches.next_step()
        drawn["rows"] = set(batches.unlabeled(60)[1].tolist())
        return iter(())

    monkeypatch.setattr(cohort, "train_students", collect)
    split = pd.read_csv(world.data["split"])
    labeled = set(np.flatnonzero(split["split"] == "labeled"))
    world.train("without")
    assert drawn["rows"] == set(range(60)) - labeled
    world.train("with", distill_labeled=True)
    assert drawn["rows"] == set(range(60))


def test_a_bad_source_in_a_weights_file_fails_its_member_alone(world, trained):
    pd.DataFrame({"source": ["alexnet_tiny_latin", "nobody"], "weight": [0.5, 0.5]}).to_csv(
        world.weights(WEIGHTED), index=False
    )
    output = world.train("out", [TRANSFER, WEIGHTED, SINGLE])
    message = (output / WEIGHTED / "failed.txt").read_text()
    assert "'nobody'" in message
    assert str(world.weights(WEIGHTED)) in message
    assert [path.name for path in (output / WEIGHTED).iterdir()] == ["failed.txt"]
    for recipe in (TRANSFER, SINGLE):
        assert bytes_of(output / recipe) == bytes_of(trained.root / "cohort0" / recipe)


def garble(world):
    world.inference("alexnet_tiny_latin").write_bytes(b"nothing")


def shorten(world):
    outputs = load_file(world.inference("alexnet_tiny_latin"))
    short = {name: values[:-1].copy() for name, values in outputs.items()}
    save_inference(world.inference("alexnet_tiny_latin"), short, {})


def poison(world):
    outputs = load_file(world.inference("alexnet_tiny_latin"))
    outputs["pseudo_labels"][:] = np.nan
    save_inference(world.inference("alexnet_tiny_latin"), outputs, {})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (garble, "alexnet_tiny_latin.safetensors is damaged"),
        (shorten, "alexnet_tiny_latin.safetensors holds 59 rows for 60 images"),
        (poison, "the loss is nan by step 1"),
    ],
)
def test_damaged_outputs_of_a_source_fail_those_who_use_them(world, trained, damage, message):
    damage(world)
    output = world.train("out", [SINGLE, TRANSFER])
    assert message in (output / SINGLE / "failed.txt").read_text()
    assert bytes_of(output / TRANSFER) == bytes_of(trained.root / "cohort0" / TRANSFER)


def test_finished_students_are_taken_over_and_a_lost_one_trained_again(finished):
    before = {recipe: bytes_of(finished.folder(recipe)) for recipe in RECIPES}
    metrics = {r: (finished.folder(r) / "metrics.json").read_bytes() for r in RECIPES}
    for path in finished.folder(WEIGHTED).iterdir():
        path.unlink()
    output = finished.train("cohort1")
    for recipe in RECIPES:
        assert bytes_of(output / recipe) == before[recipe]
    for recipe in set(RECIPES) - {WEIGHTED}:
        for name in FILES:
            kept = finished.folder(recipe) / name
            assert (output / recipe / name).stat().st_ino == kept.stat().st_ino
        assert {path.name for path in (output / recipe).iterdir()} == {*FILES, "training.json"}
    for name in FILES:
        assert (output / WEIGHTED / name).stat().st_nlink == 1
    # Evaluating again gives the same, but for the time that training took.
    for recipe in RECIPES:
        folder = finished.evaluate(output, recipe)
        assert bytes_of(folder) == before[recipe]
        old, new = json.loads(metrics[recipe]), json.loads((folder / "metrics.json").read_text())
        if recipe == WEIGHTED:
            for timing in ("train_seconds", "images_per_second"):
                assert old.pop(timing) > 0
                assert new.pop(timing) > 0
        assert new == old


def test_what_a_killed_job_left_in_the_folder_does_not_count(finished, planned):
    (finished.root / "cohort1" / SINGLE).mkdir(parents=True)
    (finished.root / "cohort1" / SINGLE / "failed.txt").write_text("of another process")
    output = finished.train("cohort1")
    assert {path.name for path in (output / SINGLE).iterdir()} == {*FILES, "training.json"}


def test_a_damaged_model_is_not_taken_over(finished):
    path = finished.folder(WEIGHTED) / "model.safetensors"
    before = path.read_bytes()
    damaged = bytearray(before)
    damaged[-1] ^= 1
    path.unlink()  # a link
    path.write_bytes(damaged)
    output = finished.train("cohort1")
    assert (output / WEIGHTED / "model.safetensors").read_bytes() == before


def test_nothing_is_trained_where_all_is_finished(finished, planned):
    finished.train("cohort1")
    assert planned == []


@pytest.mark.parametrize("name", [*FILES, "metrics.json"])
def test_a_student_without_one_of_its_files_is_not_finished(finished, planned, name):
    (finished.folder(SINGLE) / name).unlink()
    finished.train("cohort1")
    assert names(planned) == {SINGLE}


def test_a_student_with_half_a_metrics_file_is_not_finished(finished, planned):
    path = finished.folder(SINGLE) / "metrics.json"
    path.write_bytes(path.read_bytes()[:50])
    finished.train("cohort1")
    assert names(planned) == {SINGLE}


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "4567"},
        {"view": {"kind": "padded_crop", "padding": 1}},
        {"statistics": ([0.4, 0.4, 0.4], [0.2, 0.2, 0.2])},
        {"distill_labeled": True},
        {"seed": 1},
        {"target": "nuts"},
        *({"settings": {"lam": 0.5}}, {"settings": {"steps": 4}}),
        {"settings": {"fixmatch_threshold": 0.9}},
    ],
    ids=str,
)
def test_another_setting_trains_all_again(finished, planned, changes):
    finished.train("cohort1", **changes)
    assert names(planned) == set(RECIPES)


@pytest.mark.parametrize(
    "changes",
    [{"architecture": "resnet50_tiny"}, {"objective": "fixmatch"}, {"learning_rate": 0.01}],
    ids=str,
)
def test_another_member_of_the_same_name_has_another_key(world, monkeypatch, changes):
    """A random start has no model file whose contents would tell."""
    keys = []
    monkeypatch.setattr(cohort, "_take_over", lambda *args: keys.append(args[2]) or True)
    member = replace(world.member(TRANSFER), initial=None)
    for i, asked in enumerate((member, replace(member, **changes), member)):
        world.train(f"cohort{i}", members=[asked])
    assert keys[0] == keys[2] != keys[1]


def change_pixel(path):
    images = np.load(path)
    images[0, 0, 0, 0] ^= 1
    np.save(path, images)
    index = path.with_name("images.csv")
    table = pd.read_csv(index)
    first = (table["pool"] == path.name.split("_")[0]) & (table["row"] == 0)
    table.loc[first, "crc32"] = checksum(images[0])
    table.to_csv(index, index=False)


def change_label(path):
    table = pd.read_csv(path)
    table.loc[0, "label"] = (table.loc[0, "label"] + 1) % 3
    table.to_csv(path, index=False)


def swap_test_images(path):
    table = pd.read_csv(path)
    table.loc[[60, 61], "image"] = table.loc[[61, 60], "image"].to_numpy()
    table.to_csv(path, index=False)


def change_outputs(path):
    outputs = load_file(path)
    outputs["pseudo_labels"][0, 0] += 1e-6
    save_inference(path, outputs, {})


def change_model(path):
    model, meta = load_model(path)
    model.head.bias.data[0] += 1
    save_model(model, path, meta)


def change_weights(path):
    table = pd.read_csv(path)
    table["weight"] = [0.5, 0.25, 0.25]
    table.to_csv(path, index=False)


ALL = set(RECIPES)


@pytest.mark.parametrize(
    ("path", "change", "again"),
    [
        ("data/lesions_b/train_images.npy", change_pixel, ALL),
        ("data/lesions_b/test_images.npy", change_pixel, ALL),
        ("data/lesions_b/images.csv", swap_test_images, ALL),
        ("splits/lesions_b/seed0_labeled.csv", change_label, ALL),
        ("inference/lesions_b/alexnet_tiny_latin.safetensors", change_outputs, {SINGLE, WEIGHTED}),
        ("inference/lesions_b/convnet_tiny_mosaics_a.safetensors", change_outputs, {WEIGHTED}),
        ("sources/convnet_tiny_generalist/model.safetensors", change_model, ALL - {FINETUNED}),
        ("sources/alexnet_tiny_latin/model.safetensors", change_model, {FINETUNED}),
        (f"weights/lesions_b/seed0/{WEIGHTED}.csv", change_weights, {WEIGHTED}),
        ("data/lesions_b/labels.csv", change_label, set()),
        ("similarity/lesions_b/seed0.csv", lambda path: path.write_text("other"), set()),
    ],
)
def test_a_changed_input_trains_those_again_that_use_it(finished, planned, path, change, again):
    change(finished.root / path)
    finished.train("cohort1")
    assert names(planned) == again


def test_the_time_of_an_input_does_not_matter(finished, planned):
    for path in finished.root.rglob("*"):
        if path.is_file():
            path.touch()
    finished.train("cohort1")
    assert planned == []


def test_another_architecture_is_built_for_a_random_start(world, planned):
    member = replace(world.member(TRANSFER), initial=None, architecture="resnet50_tiny")
    world.train("out", members=[member])
    (plan,) = planned
    assert (
        plan.model.state_dict().keys()
        == build_model("resnet50_tiny", 3, seed=0).state_dict().keys()
    )


@pytest.mark.parametrize("changes", [{}, {"seed": 1}, {"code": "4567"}, {"threads": 2}], ids=str)
def test_a_stopped_cohort_goes_on_where_it_was_unless_something_changed(
    world, trained, steps, changes
):
    checkpoint = world.root / "checkpoints" / "cohort.pt"
    steps.stop = 2
    with pytest.raises(TrainingStopped, match="after step 2 of 3"):
        world.train("cohort", checkpoint=str(checkpoint))
    output = world.train("cohort", checkpoint=str(checkpoint), **changes)
    assert steps.count == (2 + 3 if changes else 3)
    assert not any(checkpoint.parent.iterdir())
    if not changes:
        for recipe in RECIPES:
            assert bytes_of(output / recipe) == bytes_of(trained.root / "cohort0" / recipe)


def test_a_checkpoint_stays_until_the_students_are_written(world, trained, steps, monkeypatch):
    checkpoint = world.root / "checkpoints" / "cohort.pt"
    with monkeypatch.context() as patch:
        patch.setattr(cohort, "_write_student", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            world.train("cohort", checkpoint=str(checkpoint), checkpoint_minutes=1e-9)
    output = world.train("cohort", checkpoint=str(checkpoint))
    assert steps.count == 3
    assert bytes_of(output / WEIGHTED) == bytes_of(trained.root / "cohort0" / WEIGHTED)
    assert not checkpoint.exists()


def by(world, head):
    """The student of all sources, each of which teaches it by one head."""
    return replace(world.member(WEIGHTED), head=head)


def learner(world):
    """A student that learns the labels of a linear probe."""
    return replace(world.member(TRANSFER), recipe="probe_labels", objective="probe_labels")


def probe_file(world):
    path = world.root / "probe.safetensors"
    labels = np.random.default_rng(0).dirichlet(np.ones(3), 60).astype(np.float32)
    save_tensors(path, {"pseudo_labels": labels}, {"source": "alexnet_tiny_latin"})
    return path, labels


def test_sources_teach_by_their_heads(world, planned):
    heads = dict(zip(SOURCES, ("features", "prototypes", "kmeans"), strict=True))
    world.train("out", [WEIGHTED], heads=heads, feature_scale=2.0)
    pseudo = planned[0].pseudo_labels
    features, prototypes, stored = pseudo.probabilities.split(pseudo.sizes, dim=1)
    outputs = [load_file(world.inference(name)) for name in SOURCES]
    np.testing.assert_array_equal(stored.numpy(), outputs[2]["pseudo_labels"])
    split = pd.read_csv(world.data["split"])["split"][:60]
    unlabeled = np.flatnonzero(split == "unlabeled")
    standardized, _ = standardize(outputs[0]["features"][unlabeled])
    np.testing.assert_allclose(features[unlabeled], standardized, rtol=1e-5)
    information = label_information(torch.from_numpy(outputs[0]["pseudo_labels"][unlabeled]))
    assert pseudo.scales == (pytest.approx(2 * information), None, None)
    assert prototypes.shape == (60, 3)


def test_a_method_may_replace_every_head(world, planned):
    world.train("out", members=[by(world, "prototypes")])
    (plan,) = planned
    assert plan.pseudo_labels.sizes == (3, 3, 3) and plan.pseudo_labels.scales is None


@pytest.mark.parametrize("head", ["prototypes", "features"])
def test_students_of_other_heads_are_trained(world, trained, head):
    output = world.train("out", members=[by(world, head), world.member(SINGLE)])
    assert {path.name for path in (output / WEIGHTED).iterdir()} == {*FILES, "training.json"}
    # Their company learns what it would alone.
    assert bytes_of(output / SINGLE) == bytes_of(trained.root / "cohort0" / SINGLE)
    other = bytes_of(trained.root / "cohort0" / WEIGHTED)
    assert bytes_of(output / WEIGHTED)["model.safetensors"] != other["model.safetensors"]


def test_a_class_without_a_labelled_image_fails_those_with_prototypes_alone(world, trained):
    for name in ("labeled", "split"):
        table = pd.read_csv(world.data[name])
        if name == "labeled":
            lost = set(table.loc[table["label"] == 1, "image"])
            table = table[table["label"] != 1]
        else:
            table.loc[table["image"].isin(lost), "split"] = "unlabeled"
        table.to_csv(world.data[name], index=False)
    output = world.train("out", members=[by(world, "prototypes"), world.member(TRANSFER)])
    message = (output / WEIGHTED / "failed.txt").read_text()
    assert "'alexnet_tiny_latin' cannot teach by prototypes: no image of class 'lime'" in message
    assert (output / TRANSFER / "model.safetensors").is_file()


def keys_of(world, monkeypatch, member, **changes):
    keys = []
    monkeypatch.setattr(cohort, "_take_over", lambda *args: keys.append(args[2]) or True)
    world.train("keys", members=[member], **changes)
    return keys[0]


def test_heads_and_their_settings_count_only_where_they_matter(world, monkeypatch):
    def key(member, head="own", **changes):
        heads = dict.fromkeys(SOURCES, head)
        return keys_of(world, monkeypatch, member, heads=heads, **changes)

    weighted, single = world.member(WEIGHTED), world.member(SINGLE)
    # What the stored pseudo-labels are of is told by their file.
    assert key(weighted) == key(weighted, "kmeans") == key(weighted, feature_scale=3.0)
    assert key(weighted, "prototypes") == key(by(world, "prototypes"))
    assert key(weighted, "prototypes") == key(weighted, "prototypes", feature_scale=3.0)
    assert key(weighted, "features") != key(weighted, "features", feature_scale=3.0)
    assert len({key(weighted, head) for head in ("own", "prototypes", "features")}) == 3
    # Another source's head is none of its business.
    heads = {**dict.fromkeys(SOURCES, "features"), "alexnet_tiny_latin": "own"}
    assert keys_of(world, monkeypatch, single, heads=heads) == key(single)
    assert key(world.member(FINETUNED), "features") == key(world.member(FINETUNED))


def test_the_labels_of_a_probe_are_learnt(world, planned, monkeypatch):
    path, labels = probe_file(world)
    world.train("out", members=[learner(world)], probe=path)
    (plan,) = planned
    assert plan.pseudo_labels is None
    np.testing.assert_array_equal(plan.probe_labels.numpy(), labels)
    before = keys_of(world, monkeypatch, learner(world), probe=path)
    save_tensors(path, {"pseudo_labels": labels[::-1]}, {"source": "alexnet_tiny_latin"})
    assert keys_of(world, monkeypatch, learner(world), probe=path) != before


def test_a_student_of_a_probe_names_its_source(world):
    path, _ = probe_file(world)
    output = world.train("out", members=[learner(world)], probe=path)
    facts = json.loads((output / "probe_labels" / "training.json").read_text())
    assert facts["selected_sources"] == ["alexnet_tiny_latin"]


def test_without_a_probe_its_student_fails_alone(world):
    output = world.train("out", members=[learner(world), world.member(TRANSFER)])
    message = (output / "probe_labels" / "failed.txt").read_text()
    assert message == "it learns the labels of a linear probe, and there is none"
    assert (output / TRANSFER / "model.safetensors").is_file()


def test_labels_of_weighted_probes_are_mixed(world, planned):
    member = replace(by(world, "linear_probe"), objective="mixed_labels")
    world.train("out", members=[member])
    (plan,) = planned
    assert plan.pseudo_labels is None
    split = pd.read_csv(world.data["split"])["split"][:60]
    rows = np.flatnonzero(split == "labeled")
    labels = pd.read_csv(world.data["labeled"])["label"].to_numpy()
    expected = np.zeros((60, 3))
    for source, weight in read_weights(Path(member.weights)).items():
        features = load_file(world.inference(source))["features"]
        job = world.cohort([WEIGHTED])
        seed = derive_seed(job.seed, job.target, "lessons") % 2**32
        probe = fit_probe(features[rows], labels, 3, seed=seed)
        expected += weight * probe.probabilities(features)
    np.testing.assert_allclose(plan.probe_labels.numpy(), expected, rtol=1e-5)
