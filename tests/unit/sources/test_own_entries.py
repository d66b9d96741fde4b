"""A user's own models by configuration: what is found, what is wrong, what brings the missing."""

import json

import pytest
import torch
from huggingface_hub import try_to_load_from_cache

import distillweighted.sources.catalogues as catalogues
from distillweighted.networks.classifier import build_model
from distillweighted.networks.model_files import save_model
from distillweighted.sources.catalogues import projects, timm_models, timm_parameters
from distillweighted.sources.model_caches import cached_hub_file
from distillweighted.sources.origins.own import safe_name
from distillweighted.sources.origins.timm import matching
from distillweighted.sources.origins.torchvision import matching as matching_torchvision
from distillweighted.workflow.config import ConfigError
from distillweighted.workflow.required_files import describe_missing_files
from distillweighted.workflow.run import Run

pytestmark = pytest.mark.usefixtures("caches")

RESNET, VIT = "test_resnet.r160_in1k", "test_vit.r160_in1k"


def run_of(*groups, **config):
    return Run.of({"name": "own", "targets": ["lesions_b"], "sources": list(groups), **config})


def timm(*models, **keys):
    return {"from": "timm", "models": list(models), **keys}


def checkpoint(file, **keys):
    return {"from": "checkpoint", "file": str(file), **keys}


def problems(*groups):
    with pytest.raises(ConfigError) as error:
        run_of(*groups)
    return str(error.value)


def test_names_patterns_and_default_tags():
    run = run_of(timm("test_resnet", "test_vit*"))
    assert list(run.sources) == [RESNET, VIT, "test_vit2.r160_in1k", "test_vit3.r160_in1k"]
    model = run.sources[RESNET]
    assert (model.architecture, model.task, model.num_outputs) == (
        "timm-test_resnet",
        "r160_in1k",
        1000,
    )
    assert (model.head, model.reference, model.input_size) == ("own", RESNET, None)
    # What is named twice is there once.
    assert list(run_of(timm("test_vit", VIT, "test_vit.*")).sources) == [VIT]


def test_patterns_have_a_limit_of_parameters():
    counts = timm_parameters(["test_vit.r160_in1k", "test_vit2.r160_in1k", "test_vit3.r160_in1k"])
    import timm as library

    network = library.create_model("test_vit2")
    assert counts["test_vit2.r160_in1k"] == sum(p.numel() for p in network.parameters())
    limit = (min(counts.values()) + 1) / 1e6
    found = matching("test_vit*", limit)
    assert found == [min(counts, key=counts.get)]
    text = problems(timm("test_vit*", max_parameters=0.0001))
    assert "no pretrained model of timm of at most 0.0001 million parameters matches" in text


def test_a_list_of_models_is_kept(lists, monkeypatch):
    timm_models()
    (kept,) = (lists / "distillweighted").glob("timm-*-models.json")
    assert json.loads(kept.read_text())[RESNET]["hub"] == f"timm/{RESNET}"
    catalogues._kept.cache_clear()
    monkeypatch.setattr(catalogues, "_read_timm", lambda: pytest.fail("read once more"))
    assert timm_models()[RESNET]["licence"] == "apache-2.0"
    # A damaged one is made again.
    kept.write_text("{")
    catalogues._kept.cache_clear()
    monkeypatch.setattr(catalogues, "_read_timm", lambda: {"new": {}})
    assert timm_models() == {"new": {}}
    kept.unlink()
    catalogues._kept.cache_clear()
    monkeypatch.undo()


def test_models_without_a_classifier_teach_clusters():
    sources = run_of(
        timm("vit_small_patch14_dinov2.lvd142m", "vit_base_patch16_clip_224.openai")
    ).sources.values()
    assert {(s.num_outputs, s.head) for s in sources} == {(0, "kmeans")}
    text = problems(timm("vit_small_patch14_dinov2.lvd142m", head="own"))
    assert "sources.0.head: 'vit_small_patch14_dinov2.lvd142m' has no classifier of its own" in text
    text = problems(timm(RESNET, head="zero_shot", text="x.npz"))
    assert f"sources.0.head: '{RESNET}' is a classifier, and was not trained with texts" in text
    assert projects("vit_base_patch16_clip_224.openai", 512)
    assert not projects("vit_base_patch16_clip_224.openai_ft_in1k", 1000)
    assert not projects("resnet18.of_512_birds", 512)


MESSAGES = {
    "unknown": (timm("resnet1"), "models.0: timm has no pretrained model 'resnet1'; did you mean"),
    "no match": (timm("resnet18.?"), "models.0: no pretrained model of timm matches 'resnet18.?'"),
    "hub": (timm("hf-hub:resnet"), "models.0: 'hf-hub:resnet' is no name of the hub (allowed: "),
    "one name": (timm("test_vit*", name="a"), "name: is the name of one model, and models says 3"),
    "one file": (timm("test_vit*", weights="a.pth"), "weights: is the file of one model, and mod"),
    "no text": (timm(VIT, head="zero_shot"), "text: missing (head: zero_shot needs it"),
    "text": (timm(VIT, text="a.npz"), "text: is read for head: zero_shot alone"),
    "key": (timm(VIT, tasks=["latin"]), "tasks: from: timm does not take this key (allowed: "),
    "missing key": ({"from": "timm"}, "models: missing (from: timm needs it)"),
    "torchvision": (
        {"from": "torchvision", "models": ["resnet81"]},
        "models.0: torchvision publishes no weights 'resnet81'; did you mean 'resnet18'?",
    ),
    "torchvision zero-shot": (
        {"from": "torchvision", "models": ["resnet18"], "head": "zero_shot", "text": "a.npz"},
        "head: torchvision's models were not trained with texts",
    ),
    "no file": (checkpoint("/nowhere/*.pth"), "file: no file matches /nowhere/*.pth"),
    "architecture": (
        checkpoint("/nowhere/a.pth", architecture="resnet81"),
        "architecture: unknown architecture 'resnet81'; did you mean 'resnet18'?",
    ),
    "unpublished": (
        checkpoint("/nowhere/a.pth", architecture="resnet18_tiny", size=24, mean=[0.5, 0.5, 0.5]),
        "std: missing (nobody published what resnet18_tiny sees)",
    ),
    "order": (
        checkpoint("/nowhere/a.safetensors", architecture="resnet18", match="order"),
        "match: /nowhere/a.safetensors is a safetensors file, which does not keep the order",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("group", "message"), MESSAGES.values(), ids=MESSAGES.keys())
def test_what_is_wrong_is_told(group, message):
    assert f"sources.0.{message}" in problems(group)


def test_two_sources_of_one_name_are_told(tmp_path):
    text = problems(timm(VIT), checkpoint(tmp_path / f"{VIT}.pth", architecture="timm-test_vit"))
    assert f"sources: two sources are called '{VIT}'; give one of them another `name`" in text
    assert list(run_of(timm(VIT), timm(VIT, name="again")).sources) == ["again", VIT]


def test_names_are_safe_in_paths():
    assert safe_name("../a b/ß") == "a_b"
    assert safe_name("...") == "model"
    assert list(run_of(timm("hf-hub:acme/a.b-c@v1")).sources) == ["acme_a.b-c"]


def test_the_hubs_cache_is_looked_up_as_its_library_does(caches):
    files = ("model.safetensors", "pytorch_model.bin")
    assert cached_hub_file("acme/net", files) is None
    snapshot = caches.put("acme/net", {"a": torch.zeros(2)}, {"architecture": "test_vit"})
    found = cached_hub_file("acme/net", files)
    told = {"repo_id": "acme/net", "cache_dir": caches.hub}
    assert str(found) == try_to_load_from_cache(filename=files[0], **told)
    assert cached_hub_file("acme/net", files[1:]) is None
    # By branch, by commit, and what is neither.
    assert cached_hub_file("acme/net@main", files) == found
    assert cached_hub_file(f"acme/net@{snapshot.name}", files) == found
    assert cached_hub_file("acme/net@v2", files) is None


def missing(run):
    return describe_missing_files([], run.sources.values(), **run.roots)


def test_what_is_not_on_this_machine_is_told_with_the_command_that_brings_it(caches, tmp_path):
    run = run_of(
        timm(VIT, "hf-hub:acme/net@v2"),
        {"from": "torchvision", "models": ["shufflenet_v2_x0_5"]},
        checkpoint(tmp_path / "mine.pth", architecture="resnet18"),
    )
    assert missing(run) == (
        "4 models are not on this machine:\n"
        f"  acme_net: is not in the hub's cache, {caches.hub}: hf download acme/net "
        "model.safetensors config.json --revision v2\n"
        f"  mine: {tmp_path}/mine.pth: there is no such file\n"
        f"  shufflenet_v2_x0_5_imagenet1k_v1: is neither in torch's cache, {caches.torch}, nor in "
        "models_root/torchvision: put "
        "https://download.pytorch.org/models/shufflenetv2_x0.5-f707e7126e.pth there\n"
        f"  {VIT}: is not in the hub's cache, {caches.hub}: hf download timm/{VIT} "
        "model.safetensors config.json"
    )
    caches.put(f"timm/{VIT}", {"a": torch.zeros(2)})
    (caches.torch / "shufflenetv2_x0.5-f707e7126e.pth").write_bytes(b"")
    (tmp_path / "mine.pth").write_bytes(b"")
    caches.put("acme/net", {"a": torch.zeros(2)}, {"architecture": "test_vit", "num_classes": 7})
    assert missing(run).startswith("1 model is not on this machine:\n  acme_net")
    # A plan is for all of it, there or not.
    assert set(run.names_of_kind("loaded")) == set(run.sources)


def test_weights_that_do_not_say_their_network_are_missing_their_description(caches):
    caches.put("acme/net", {"a": torch.zeros(2)})
    assert "config.json" in missing(run_of(timm("hf-hub:acme/net")))
    caches.put("acme/other", {"a": torch.zeros(2)}, {"model_type": "bert"})
    text = problems(timm("hf-hub:acme/other"))
    assert "'hf-hub:acme/other' is no model of timm: its config.json names no architecture" in text


def test_a_model_of_the_hub_is_what_its_description_says(caches):
    config = {"architecture": "test_vit", "num_classes": 7}
    caches.put("acme/net", {"a": torch.zeros(2)}, config)
    (model,) = run_of(timm("hf-hub:acme/net", name="mine", size=96)).sources.values()
    assert (model.name, model.architecture, model.num_outputs) == ("mine", "timm-test_vit", 7)
    assert (model.head, model.input_size) == ("own", 96)


def test_torchvisions_weights_by_either_name():
    found = matching_torchvision("resnet50")
    assert found == ["ResNet50_Weights.IMAGENET1K_V2"]
    assert matching_torchvision("ResNet50_Weights.*") == [
        "ResNet50_Weights.IMAGENET1K_V1",
        "ResNet50_Weights.IMAGENET1K_V2",
    ]
    assert matching_torchvision("shufflenet_v2_*", 2) == [
        "ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1"
    ]
    assert matching_torchvision("resnet81") == []


def test_files_of_this_project_say_what_they_are(tmp_path):
    for name, classes in (("cats", 3), ("dogs", 0)):
        path = tmp_path / name / "model.safetensors"
        path.parent.mkdir()
        meta = {"architecture": "alexnet_tiny", "num_classes": classes, "image_size": 24}
        meta |= {"mean": [0.5] * 3, "std": [0.2] * 3}
        save_model(build_model("alexnet_tiny", classes, seed=0), path, meta)
    run = run_of(checkpoint(tmp_path / "*/model.safetensors"))
    facts = {s.name: (s.architecture, s.num_outputs, s.head) for s in run.sources.values()}
    assert facts == {"cats": ("alexnet_tiny", 3, "own"), "dogs": ("alexnet_tiny", 0, "kmeans")}
    text = problems(checkpoint(tmp_path / "*/model.safetensors", architecture="resnet18_tiny"))
    assert "cats/model.safetensors is a model of this project, of alexnet_tiny" in text
    text = problems(checkpoint(tmp_path / "dogs/model.safetensors", head="own"))
    assert "dogs/model.safetensors has no classifier of its own" in text
    (tmp_path / "other.pth").write_bytes(b"")
    text = problems(checkpoint(tmp_path / "other.pth"))
    assert f"sources.0.architecture: missing ({tmp_path}/other.pth does not say it)" in text
