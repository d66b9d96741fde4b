"""A user's own models: timm's, torchvision's, and files of weights, without a network at hand."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config
from torch import nn
from torchvision.models import resnet18

from distillweighted.batches.model_inputs import ModelInput
from distillweighted.networks.classifier import build_model
from distillweighted.networks.model_files import load_model, save_model
from distillweighted.sources.jobs import LoadJob
from distillweighted.sources.origins.registry import ORIGINS
from distillweighted.sources.origins.timm import matching
from distillweighted.sources.state_files import CheckpointError
from distillweighted.sources.zoo import published_reference
from distillweighted.tasks.pools import as_pool

PIXELS = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def job(path: Path, origin: str = "checkpoint", **facts: Any) -> LoadJob:
    told = {"architecture": "resnet18", "task": "", "num_classes": None, "image_size": None}
    told |= {"name": "mine", "origin": origin, "checkpoint": str(path), "file": None}
    return LoadJob(**{**told, **facts})


def load(path: Path, origin: str = "checkpoint", **facts: Any):
    return ORIGINS[origin].load(job(path, origin, **facts))


def problems(group: dict[str, Any]) -> list[tuple[str, str]]:
    return list(ORIGINS[group["from"]].problems(group))


def network(classes: int = 5) -> nn.Module:
    torch.manual_seed(0)
    return resnet18(num_classes=classes).eval()


def same_outputs(loaded, original: nn.Module) -> None:
    with torch.no_grad():
        model = loaded.model.eval()
        torch.testing.assert_close(model(PIXELS), original(PIXELS), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_state_dict_is_the_network_that_wrote_it(tmp_path: Path, ending: str) -> None:
    path, original = tmp_path / f"w.{ending}", network()
    state = original.state_dict()
    torch.save({"state_dict": state}, path) if ending == "pth" else save_file(state, path)
    loaded = load(path)
    same_outputs(loaded, original)
    assert loaded.model.head.out_features == 5
    assert loaded.facts["input"]["size"] == 224 and loaded.facts["input"]["shorter_side"] == 256
    assert list(loaded.mean) == [0.485, 0.456, 0.406]
    told = load(path, mean=(0.1, 0.2, 0.3), image_size=96)
    assert told.mean == (0.1, 0.2, 0.3) and told.facts["input"]["size"] == 96


def test_other_names_are_matched_by_order_where_that_is_asked_for(tmp_path: Path) -> None:
    path, original = tmp_path / "w.pth", network()
    # Counters of batch normalisation are left out, as by older files; nothing reads them.
    counted = [n for n in original.state_dict() if not n.endswith("num_batches_tracked")]
    torch.save({f"x{i}": original.state_dict()[n] for i, n in enumerate(counted)}, path)
    with pytest.raises(CheckpointError, match="set match: order"):
        load(path)
    same_outputs(load(path, settings={"match": "order"}), original)
    torch.save({f"x{i}": original.state_dict()[n] for i, n in enumerate(counted[::-1])}, path)
    with pytest.raises(CheckpointError, match="in order: number 1"):
        load(path, settings={"match": "order"})


def test_weights_without_a_classifier_need_another_head(tmp_path: Path) -> None:
    path, original = tmp_path / "w.pth", network()
    torch.save({n: t for n, t in original.state_dict().items() if "fc" not in n}, path)
    with pytest.raises(CheckpointError, match=r"holds no classifier.*kmeans, prototypes or"):
        load(path)
    loaded = load(path, head="kmeans")
    assert loaded.model.head is None
    original.fc = nn.Identity()
    with torch.no_grad():
        features = loaded.model.eval().backbone(PIXELS)
        torch.testing.assert_close(features, original(PIXELS), atol=1e-5, rtol=1e-5)
    # It is stored and read back without one.
    save_model(
        loaded.model,
        tmp_path / "model.safetensors",
        {"architecture": "resnet18", "num_classes": 0, "mean": [0] * 3, "std": [1] * 3},
    )
    assert load_model(tmp_path / "model.safetensors")[0].head is None


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, write in (("a.pth", torch.save), ("b.pth", lambda o, p: p.write_bytes(o))):
        path = tmp_path / name
        content = {"fc.weight": Bomb()}
        write(content if write is torch.save else pickle.dumps(content), path)
        with pytest.raises(CheckpointError, match=name):
            load(path)
    assert not (tmp_path / "exploded").exists()


def test_models_of_this_project_say_what_they_are(tmp_path: Path) -> None:
    for name in ("b", "a"):
        place = tmp_path / "sources" / name / "model.safetensors"
        place.parent.mkdir(parents=True)
        facts = {"source": f"tiny_{name}", "architecture": "convnet_tiny", "num_classes": 3}
        facts |= {"mean": [0.4] * 3, "std": [0.2] * 3, "image_size": 24, "task": "latin"}
        save_model(build_model("convnet_tiny", 3, seed=0), place, facts)
    group = {"from": "checkpoint", "file": str(tmp_path / "sources/*/model.safetensors")}
    assert problems(group) == []
    models = ORIGINS["checkpoint"].models(group, {})
    assert [(m.name, m.architecture, m.num_outputs, m.head) for m in models] == [
        ("tiny_a", "convnet_tiny", 3, "own"),
        ("tiny_b", "convnet_tiny", 3, "own"),
    ]
    loaded = load(Path(models[0].file), architecture="convnet_tiny")
    # Images of their own size are shown as they are.
    assert loaded.facts["input"]["size"] == loaded.facts["input"]["shorter_side"] == 24
    assert list(loaded.mean) == [0.4] * 3


@pytest.mark.parametrize(
    ("group", "key", "text"),
    [
        ({"file": "/nowhere/*.pth"}, "file", "no file matches /nowhere"),
        ({"file": "/nowhere/a.pth", "architecture": "resnet18", "text": "t"}, "text", "zero_shot"),
        ({"file": "w.safetensors", "architecture": "resnet18", "match": "order"}, "match", "order"),
        ({"file": "w.safetensors", "architecture": "convnet_tiny"}, "size", "missing"),
        ({"file": "w.safetensors"}, "architecture", "does not say it"),
    ],
)
def test_messages_about_checkpoints(
    group: dict[str, Any], key: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_file(network().state_dict(), tmp_path / "w.safetensors")
    found = dict(problems({"from": "checkpoint", **group}))
    assert text in found[key], found


def test_names_and_patterns_of_timm() -> None:
    assert matching("resnet18.a1_in1k") == ["resnet18.a1_in1k"]
    # A name without a tag means its default one.
    assert matching("vit_small_patch14_dinov2") == ["vit_small_patch14_dinov2.lvd142m"]
    small = matching("vit_*dinov2*", 25)
    assert "vit_small_patch14_dinov2.lvd142m" in small
    assert not any("large" in name or "giant" in name for name in small)
    assert published_reference("timm-resnet18") == ("timm", "resnet18.a1_in1k")
    assert published_reference("resnet18") == (
        "torchvision",
        "ResNet18_Weights.IMAGENET1K_V1",
    )
    assert published_reference("convnet_tiny") is None


@pytest.mark.parametrize(
    ("group", "key", "text"),
    [
        ({"models": ["resnet18.a1_in1kk"]}, "models.0", "did you mean 'resnet18.a1_in1k'"),
        ({"models": ["nothing_*_like_this"]}, "models.0", "no pretrained model of timm matches"),
        ({"models": ["hf-hub:nobody"]}, "models.0", "is no name of the hub"),
        ({"models": ["resnet18", "resnet34"], "name": "x"}, "name", "is the name of one model"),
        ({"models": ["vit_small_patch14_dinov2.lvd142m"], "head": "own"}, "head", "no classifier"),
        ({"models": ["resnet18"], "head": "zero_shot", "text": "t"}, "head", "not trained with"),
        ({"models": ["resnet18"], "head": "zero_shot"}, "text", "missing"),
        ({"models": ["resnet18", "resnet34"], "weights": "f"}, "weights", "file of one model"),
    ],
)
def test_messages_about_timm(group: dict[str, Any], key: str, text: str) -> None:
    found = dict(problems({"from": "timm", **group}))
    assert text in found[key], found


def test_a_model_without_a_classifier_teaches_its_clusters() -> None:
    group = {"from": "timm", "models": ["vit_small_patch14_dinov2.lvd142m"]}
    (model,) = ORIGINS["timm"].models(group, {})
    assert model.head == "kmeans" and model.num_outputs == 0


def test_weights_in_the_hubs_cache_are_found_and_others_are_told_how_to_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    origin = ORIGINS["timm"]
    (model,) = origin.models({"from": "timm", "models": ["resnet18.a1_in1k"]}, {})
    assert origin.locate(model, None) is None
    assert "hf download timm/resnet18.a1_in1k model.safetensors" in origin.advice(model)
    # As huggingface_hub lays it out.
    repository = tmp_path / "models--timm--resnet18.a1_in1k"
    snapshot = repository / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("0123abc")
    torch.manual_seed(1)
    original = timm.create_model("resnet18").eval()
    save_file(original.state_dict(), snapshot / "model.safetensors")
    assert origin.locate(model, None) == snapshot / "model.safetensors"
    loaded = load(
        snapshot / "model.safetensors",
        "timm",
        architecture="timm-resnet18",
        reference="resnet18.a1_in1k",
        num_classes=1000,
    )
    same_outputs(loaded, original)


def test_a_transformer_without_a_classifier(tmp_path: Path) -> None:
    torch.manual_seed(0)
    name = "vit_tiny_patch16_224"
    original = timm.create_model(name, num_classes=0, img_size=64).eval()
    save_file(original.state_dict(), tmp_path / "w.safetensors")
    loaded = load(
        tmp_path / "w.safetensors", architecture=f"timm-{name}", head="features", image_size=64
    )
    with torch.no_grad():
        features = loaded.model.eval().backbone(PIXELS)
        torch.testing.assert_close(features, original(PIXELS), atol=1e-5, rtol=1e-5)
    assert loaded.model.head is None and loaded.facts["input"]["size"] == 64


@pytest.mark.parametrize("name", ["resnet18.a1_in1k", "tf_efficientnet_lite0.in1k"])
@pytest.mark.parametrize("shape", [(90, 131), (300, 200), (256, 256)])
def test_a_view_is_timms_own_to_a_grey_level(name: str, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    told = resolve_model_data_config(timm.create_model(name.partition(".")[0]))
    told |= timm.get_pretrained_cfg(name).to_dict()
    config = resolve_model_data_config(pretrained_cfg=told, model=None)
    config |= {"mean": (0, 0, 0), "std": (1, 1, 1)}
    theirs = create_transform(**config, is_training=False)(Image.fromarray(pixels)) * 255
    size = config["input_size"][1]
    seen = ModelInput(
        size, int(np.floor(size / config["crop_pct"])), config["interpolation"]
    ).plain(as_pool(pixels[None]), np.array([0]))
    assert (seen[0].float() - theirs).abs().max() <= 1


def test_the_facts_of_a_loaded_timm_model_are_its_transform(tmp_path: Path) -> None:
    torch.manual_seed(0)
    original = timm.create_model("tf_efficientnet_lite0").eval()
    save_file(original.state_dict(), tmp_path / "w.safetensors")
    loaded = load(tmp_path / "w.safetensors", architecture="timm-tf_efficientnet_lite0")
    seen = loaded.facts["input"]
    assert (seen["size"], seen["shorter_side"], seen["interpolation"]) == (224, 256, "bicubic")
    assert list(loaded.mean) == list(loaded.std) == [0.5, 0.5, 0.5]
    assert json.dumps(seen)
    same_outputs(loaded, original)
