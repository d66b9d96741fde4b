"""A user's own models, loaded from files and asked: what they say is what the networks say."""

import json
from collections import OrderedDict

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

import load_source
from distillweighted.networks.classifier import build_model, replace_head
from distillweighted.networks.model_files import load_model, save_model
from distillweighted.sources.state_files import CheckpointError
from distillweighted.sources.together import Source, run_over_pools
from distillweighted.workflow.run import Run

pytestmark = pytest.mark.usefixtures("caches", "one_thread")

RESNET, VIT = "test_resnet.r160_in1k", "test_vit.r160_in1k"
RNG = np.random.default_rng(0)
IMAGES = (RNG.integers(0, 256, (3, 50, 61, 3)) * [[[[0.2]]], [[[0.6]]], [[[1.0]]]]).astype(np.uint8)
IMAGES[1, :25] = IMAGES[2, 20:, 30:] = [200, 30, 90]


def run_of(group):
    return Run.of({"name": "own", "targets": ["lesions_b"], "sources": [group]})


def load(folder, group):
    """The one source of an entry: its file, what it says of itself, and how it is configured."""
    run = run_of(group)
    (source,) = run.sources.values()
    path = folder / source.name / "model.safetensors"
    path.parent.mkdir()
    load_source.main(run.jobs.load(source.name), path, path.with_name("meta.json"))
    meta = json.loads(path.with_name("meta.json").read_text())
    assert load_model(path)[1] == meta
    return path, meta, source


def ask(path, source, text=None, **options):
    pools = {"train": IMAGES, "test": IMAGES[:1]}
    asked = Source(path, head=source.head, text=text)
    found = run_over_pools(asked, pools, device="cpu", view=None, **options)
    for name, values in found["test"].items():
        np.testing.assert_allclose(values, found["train"][name][:1], atol=1e-5)
    return found["train"]


def random_network(name, **options):
    """A network of timm with weights that tell images apart, and statistics of its own."""
    torch.manual_seed(1)
    network = timm.create_model(name, **options)
    with torch.no_grad():
        for key, values in network.state_dict().items():
            if key.endswith("running_var"):
                values.uniform_(0.5, 2)
            elif values.is_floating_point() and values.ndim == 1:
                values.add_(torch.randn_like(values) / 10)
        if network.num_classes:
            network.get_classifier().weight.mul_(20)
    return network.eval()


@torch.no_grad()
def expected(network, transform):
    """Pre-logits and output of the images as a transform shows them."""
    shown = torch.stack([transform(Image.fromarray(image)) for image in IMAGES])
    features = network.forward_head(network.forward_features(shown), pre_logits=True)
    return features.numpy(), network(shown)


def timms_view(network, **options):
    return create_transform(**resolve_model_data_config(network, args=options), is_training=False)


def assert_close(found, wanted):
    wanted = np.asarray(wanted)
    assert wanted.std(axis=0).max() > 1e-3  # it tells images apart
    np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize(("name", "size"), [(RESNET, None), (RESNET, 64), (VIT, None), (VIT, 96)])
def test_a_model_of_timm_says_what_timms_says(tmp_path, caches, name, size, file):
    network = random_network(name, **({"img_size": size} if size and name == VIT else {}))
    snapshot = caches.put(f"timm/{name}", network.state_dict(), file=file)
    keys = {} if size is None else {"size": size}
    path, meta, source = load(tmp_path, {"from": "timm", "models": [name], **keys})
    outputs = ask(path, source)
    view = timms_view(network, **({"img_size": size} if size else {}))
    features, logits = expected(network, view)
    assert_close(outputs["features"], features)
    assert_close(outputs["pseudo_labels"], logits.softmax(dim=1))
    side = size or 160
    assert meta["input"] == {
        "size": side,
        "shorter_side": int(side / 0.95),
        "interpolation": "bilinear" if name == RESNET else "bicubic",
        "mode": "center",
    }
    facts = ("source", "architecture", "task", "num_classes", "image_size", "licence", "checkpoint")
    assert [meta[fact] for fact in facts] == [
        name, f"timm-{name.split('.')[0]}", "r160_in1k", 1000, side, "apache-2.0",
        (snapshot / file).name,
    ]  # fmt: skip
    assert meta["parameters"] == sum(p.numel() for p in network.parameters())
    assert meta["gmacs"] > 0


@pytest.mark.parametrize(
    "name",
    [
        "deit_tiny_distilled_patch16_224.fb_in1k",
        "resnetv2_18.ra4_e3600_r224_in1k",
        "repvit_m0_9.dist_300e_in1k",
    ],
)
def test_a_model_whose_classifier_is_not_one_layer_stays_whole(tmp_path, caches, name):
    network = timm.create_model(name).eval()
    caches.put(f"timm/{name}", network.state_dict())
    path, meta, source = load(tmp_path, {"from": "timm", "models": [name]})
    assert meta["whole"] and meta["num_classes"] == 1000
    outputs = ask(path, source)
    features, logits = expected(network, timms_view(network))
    np.testing.assert_allclose(outputs["features"], features.reshape(3, -1), atol=1e-5)
    np.testing.assert_allclose(outputs["pseudo_labels"], logits.softmax(dim=1), atol=1e-5)
    with pytest.raises(ValueError, match="cannot be trained further; choose another model to st"):
        replace_head(load_model(path)[0], 5, seed=0)


def test_position_embeddings_are_resized_as_timm_does(tmp_path, caches):
    state = random_network(VIT).state_dict()
    caches.put(f"timm/{VIT}", state)
    path, _, source = load(tmp_path, {"from": "timm", "models": [VIT], "size": 96})
    overlay = {"state_dict": state}
    network = timm.create_model(VIT, img_size=96, pretrained=True, pretrained_cfg_overlay=overlay)
    features, _ = expected(network.eval(), timms_view(network, img_size=96))
    assert_close(ask(path, source)["features"], features)


def test_a_size_that_does_not_fit_is_told(tmp_path):
    model = build_model("timm-test_vit", 3, seed=0, image_size=96)
    file = tmp_path / "mine" / "model.safetensors"
    file.parent.mkdir()
    meta = {"architecture": "timm-test_vit", "num_classes": 3, "image_size": 96}
    save_model(model, file, meta | {"mean": [0.5] * 3, "std": [0.2] * 3})
    group = {"from": "checkpoint", "file": str(file), "size": 64, "name": "smaller"}
    with pytest.raises(ValueError, match=r"mine/model.*'timm-test_vit' was made for images of 96 "):
        load(tmp_path, group)
    with pytest.raises(ValueError, match="images of 17 pixels"):
        build_model("timm-test_convnext", 3, seed=0, image_size=17)


def test_the_users_own_file_of_timms_weights_and_statistics(tmp_path):
    network = random_network(RESNET)
    file = tmp_path / "mine.pth"
    torch.save({"epoch": 3, "state_dict": network.state_dict()}, file)
    statistics = {"mean": [0.1, 0.2, 0.3], "std": [0.3, 0.2, 0.1]}
    group = {"from": "timm", "models": ["test_resnet"], "weights": str(file), "name": "mine"}
    path, meta, source = load(tmp_path, {**group, **statistics})
    assert {name: meta[name] for name in statistics} == statistics
    features, logits = expected(network, timms_view(network, **statistics))
    outputs = ask(path, source)
    assert_close(outputs["features"], features)
    assert_close(outputs["pseudo_labels"], logits.softmax(dim=1))


def tower(caches, outputs):
    """A model of the hub with settings of its own, and its network."""
    facts = {"input_size": [3, 96, 96], "fixed_input_size": True, "crop_pct": 1.0}
    facts |= {"crop_mode": "squash", "interpolation": "bicubic", "license": "mit"}
    facts |= {"mean": [0.5] * 3, "std": [0.5] * 3, "num_classes": outputs}
    facts |= {"classifier": "head", "first_conv": "patch_embed.proj"}
    described = {**facts, "architecture": "test_vit"}
    network = random_network(
        "test_vit", num_classes=outputs, pretrained_cfg=described, global_pool="avg"
    )
    config = {"architecture": "test_vit", "num_classes": outputs, "pretrained_cfg": facts}
    config["model_args"] = {"global_pool": "avg"}
    caches.put("acme/clip-tower", network.state_dict(), config)
    return network


def test_a_model_of_the_hub_without_a_classifier(tmp_path, caches):
    network = tower(caches, 0)
    path, meta, source = load(tmp_path, {"from": "timm", "models": ["hf-hub:acme/clip-tower"]})
    assert (source.name, source.head) == ("acme_clip-tower", "kmeans")
    assert (meta["num_classes"], meta["image_size"], meta["licence"]) == (0, 96, "mit")
    assert (meta["input"]["mode"], meta["input"]["shorter_side"]) == ("squash", 96)
    outputs = ask(path, source)
    assert outputs.keys() == {"features"}
    assert_close(outputs["features"], expected(network, timms_view(network))[1])
    model, _ = load_model(path)
    assert (model.head, model.num_classes, model.num_features) == (None, 0, 64)
    with pytest.raises(ValueError, match=r"source acme_clip-tower has no classifier.*head"):
        run_over_pools(Source(path), {"train": IMAGES}, device="cpu", view=None)


def test_a_tower_that_shares_a_space_with_texts(tmp_path, caches):
    network = tower(caches, 512)
    features, embedded = expected(network, timms_view(network))
    group = {"from": "timm", "models": ["hf-hub:acme/clip-tower"]}
    path, meta, source = load(tmp_path, group)
    assert (source.head, source.num_outputs, meta["num_classes"]) == ("kmeans", 0, 0)
    assert_close(ask(path, source)["features"], features)
    zero_shot = {"head": "zero_shot", "text": "classes.npz", "name": "zero"}
    path, meta, source = load(tmp_path, {**group, **zero_shot})
    text = {name: RNG.normal(size=512) for name in ("a photo of a cat", "dog", "owl")}
    outputs = ask(path, source, text=text)
    assert_close(outputs["features"], features)
    rows = torch.tensor(np.stack(list(text.values())), dtype=torch.float32)
    cosines = torch.nn.functional.cosine_similarity(embedded[:, None], rows[None], dim=2)
    wanted = (100 * cosines).softmax(dim=1)
    np.testing.assert_allclose(outputs["pseudo_labels"], wanted, atol=1e-4)
    with pytest.raises(
        ValueError, match="zero: its image embeddings have 512 numbers and the text"
    ):
        ask(path, source, text={"a": np.ones(3), "b": np.arange(3)})


@pytest.mark.parametrize("by", ["torch's cache", "models_root"])
def test_torchvisions_weights(tmp_path, caches, by):
    torch.manual_seed(2)
    network = torchvision.models.shufflenet_v2_x0_5().eval()
    weights = torchvision.models.ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1
    root = tmp_path / "root"
    place = caches.torch if by == "torch's cache" else root / "torchvision"
    place.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), place / weights.url.rpartition("/")[2])
    config = {"name": "own", "targets": ["lesions_b"], "models_root": str(root)}
    group = {"from": "torchvision", "models": ["shufflenet_v2_x0_5"]}
    run = Run.of({**config, "sources": [group]})
    (source,) = run.sources.values()
    path = tmp_path / "model.safetensors"
    load_source.main(run.jobs.load(source.name), path, tmp_path / "meta.json")
    shown = torch.stack([weights.transforms()(Image.fromarray(image)) for image in IMAGES])
    with torch.no_grad():
        wanted = network(shown).softmax(dim=1)
    np.testing.assert_allclose(ask(path, source)["pseudo_labels"], wanted, atol=1e-5)


def renamed(state):
    """As another library would call its layers."""
    return OrderedDict(
        (f"_layer{number}.{name.rpartition('.')[2]}", value)
        for number, (name, value) in enumerate(state.items())
    )


def save(path, state):
    torch.save(state, path)
    return str(path)


def checkpoint(file, architecture="timm-test_resnet", **keys):
    return {"from": "checkpoint", "file": file, "architecture": architecture, **keys}


@pytest.mark.parametrize("match", ["names", "order"])
@pytest.mark.parametrize("architecture", ["timm-test_resnet", "resnet18", "convnet_tiny"])
def test_a_state_dict_of_any_number_of_classes(tmp_path, architecture, match):
    if architecture == "convnet_tiny":
        network = build_model(architecture, 7, seed=3).eval()
    elif architecture == "resnet18":
        network = torchvision.models.resnet18(num_classes=7).eval()
    else:
        network = random_network("test_resnet", num_classes=7)
    state = network.state_dict()
    if match == "names":
        state = {f"module.{name}": value for name, value in state.items()}
    keys = {"size": 48, "mean": [0.4] * 3, "std": [0.2] * 3, "match": match}
    file = save(tmp_path / "net.pth", renamed(state) if match == "order" else {"model": state})
    path, meta, source = load(tmp_path, checkpoint(file, architecture, **keys))
    assert (source.name, meta["num_classes"], meta["image_size"]) == ("net", 7, 48)
    model, _ = load_model(path)
    shown = torch.randn(3, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(shown), network(shown), atol=1e-5, rtol=1e-5)
    assert ask(path, source)["pseudo_labels"].shape == (3, 7)


def test_a_state_dict_is_shown_what_was_published_for_its_architecture(tmp_path):
    network = random_network("test_resnet", num_classes=7)
    file = save(tmp_path / "net.pth", network.state_dict())
    path, _, source = load(tmp_path, checkpoint(file))
    features, logits = expected(network, timms_view(network))
    outputs = ask(path, source)
    assert_close(outputs["features"], features)
    assert_close(outputs["pseudo_labels"], logits.softmax(dim=1))


def test_a_state_dict_without_a_classifier(tmp_path):
    network = random_network("test_vit", num_classes=0)
    file = save(tmp_path / "net.pth", network.state_dict())
    with pytest.raises(CheckpointError, match=r"net\.pth holds no classifier.*another `head`"):
        load(tmp_path, checkpoint(file, "timm-test_vit"))
    path, meta, source = load(tmp_path, checkpoint(file, "timm-test_vit", head="kmeans", name="b"))
    assert meta["num_classes"] == 0
    assert_close(ask(path, source)["features"], expected(network, timms_view(network))[1])


def test_weights_that_do_not_fit_are_told(tmp_path):
    network = random_network("test_resnet", num_classes=7)
    odd = save(tmp_path / "odd.pth", renamed(network.state_dict()))
    for number, (group, message) in enumerate(
        [
            (checkpoint(odd), "timm-test_resnet: .*would fit by their order.*set match: order$"),
            (checkpoint(odd, "timm-test_vit", match="order"), "timm-test_vit in order: number 1, "),
            (checkpoint(odd, "timm-test_vit"), "timm-test_vit: .*missing.*unknown"),
        ]
    ):
        (tmp_path / str(number)).mkdir()
        with pytest.raises(CheckpointError, match=rf"odd\.pth: its weights do not fit {message}"):
            load(tmp_path / str(number), group)


class Attack:
    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        import os

        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("kind", ["timm", "checkpoint"])
def test_nothing_is_unpickled(tmp_path, kind):
    file = save(tmp_path / "net.pth", {"a": Attack(tmp_path / "attacked")})
    group = checkpoint(file)
    if kind == "timm":
        group = {"from": "timm", "models": [RESNET], "weights": file}
    with pytest.raises(CheckpointError, match=r"net\.pth is not opened.*run code"):
        load(tmp_path, group)
    assert not (tmp_path / "attacked").exists()


def test_weights_that_are_not_finite_are_told(tmp_path, caches):
    state = random_network(RESNET).state_dict()
    state["fc.bias"][3] = torch.nan
    caches.put(f"timm/{RESNET}", state)
    with pytest.raises(CheckpointError, match=r"'fc\.bias' has values that are not finite"):
        load(tmp_path, {"from": "timm", "models": [RESNET]})


def test_a_damaged_file_of_the_cache_is_told(tmp_path, caches):
    snapshot = caches.put(f"timm/{RESNET}", random_network(RESNET).state_dict())
    whole = (snapshot / "model.safetensors").read_bytes()
    (snapshot / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read as safetensors"):
        load(tmp_path, {"from": "timm", "models": [RESNET]})


def test_a_model_of_this_project_sees_images_of_its_own_size(tmp_path):
    model = build_model("resnet18_tiny", 4, seed=5)
    file = tmp_path / "mine" / "model.safetensors"
    file.parent.mkdir()
    meta = {"architecture": "resnet18_tiny", "num_classes": 4, "image_size": 24, "task": "latin"}
    meta |= {"mean": [0.3] * 3, "std": [0.2] * 3}
    save_model(model, file, meta)
    (tmp_path / "out").mkdir()
    path, meta, source = load(tmp_path / "out", {"from": "checkpoint", "file": str(file)})
    assert (source.name, source.task, meta["num_classes"], meta["image_size"]) == (
        "mine",
        "latin",
        4,
        24,
    )
    images = IMAGES[:, :24, :24].copy()
    outputs = run_over_pools(Source(path), {"train": images}, device="cpu", view=None)["train"]
    shown = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - 0.3) / 0.2
    with torch.no_grad():
        wanted = model.eval()(shown).softmax(dim=1)
    np.testing.assert_allclose(outputs["pseudo_labels"], wanted, atol=1e-5)


def test_images_that_are_smaller_than_a_model_wants_are_told(tmp_path, caplog):
    file = save(tmp_path / "net.pth", random_network("test_resnet", num_classes=7).state_dict())
    path, _, source = load(tmp_path, checkpoint(file))
    ask(path, source, stored_side=168)
    assert not caplog.records
    ask(path, source, stored_side=50)
    assert caplog.messages == [
        "source net is made for images of 168 pixels, and the stored ones have at most 50: they "
        "are enlarged; where the files have more, say `side: 168` of the target"
    ]
