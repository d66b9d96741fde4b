"""Sources that are asked in one pass: each says what it says alone."""

import gc
import logging
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from distillweighted.batches.views import AS_STORED, PaddedCrop, ResizedCrop
from distillweighted.networks.classifier import Classifier, build_model
from distillweighted.networks.model_files import save_model
from distillweighted.sources import together
from distillweighted.sources.together import Source, ask, run_over_pools
from distillweighted.tasks.pools import RaggedPool, write_ragged

pytestmark = pytest.mark.usefixtures("one_thread")

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (30, 16, 16, 3), dtype=np.uint8)
STATISTICS = ([0.5, 0.4, 0.3], [0.2, 0.25, 0.3])
OTHERS = ((0.1, 0.2, 0.3), (0.3, 0.2, 0.1))


def save_source(folder, name, classes=5, *, seed=0, bias=0.0, **facts):
    architecture = name.split("-")[0]
    model = build_model(architecture, classes, seed=seed)
    if classes:
        model.head.bias.data[0] += bias
    path = folder / name / "model.safetensors"
    path.parent.mkdir()
    facts = {"mean": STATISTICS[0], "std": STATISTICS[1], "image_size": 16} | facts
    save_model(model, path, {"architecture": architecture, "num_classes": classes, **facts})
    return Source(path)


@pytest.fixture
def sources(tmp_path):
    """Sources of several networks, statistics, heads and activations."""
    text = {name: RNG.normal(size=4) for name in ("fig", "lime")}
    return {
        "one": save_source(tmp_path, "convnet_tiny-1", 5, seed=1),
        "two": replace(save_source(tmp_path, "resnet18_tiny-2", 3, seed=2), statistics=OTHERS),
        "three": replace(save_source(tmp_path, "alexnet_tiny-3", 4), activation="sigmoid"),
        "four": replace(save_source(tmp_path, "convnet_tiny-4", 0, seed=4), head="kmeans"),
        "five": replace(save_source(tmp_path, "alexnet_tiny-5", 4), head="zero_shot", text=text),
    }


@pytest.fixture
def passes(monkeypatch):
    """The sources of every pass, by the name that they are asked by."""
    asked, forward_together = [], together.forward_together

    def watching(networks, images, **options):
        asked.append(list(networks))
        return forward_together(networks, images, **options)

    monkeypatch.setattr(together, "forward_together", watching)
    return asked


def assert_same(found, alone):
    assert found.keys() == alone.keys()
    for name, pools in alone.items():
        assert found[name].keys() == pools.keys()
        for pool, outputs in pools.items():
            assert found[name][pool].keys() == outputs.keys()
            for kind, values in outputs.items():
                assert found[name][pool][kind].tobytes() == values.tobytes(), (name, pool, kind)


def test_each_source_says_what_it_says_alone(sources, passes):
    pools = {"train": IMAGES, "test": IMAGES[:7]}
    alone = {n: run_over_pools(one, pools, device="cpu") for n, one in sources.items()}
    assert alone["two"]["train"]["pseudo_labels"].shape == (30, 3)
    assert alone["five"]["test"]["pseudo_labels"].shape == (7, 2)
    assert list(alone["four"]["train"]) == ["features"]
    passes.clear()
    assert_same(dict(ask(sources, pools, device="cpu")), alone)
    assert passes == [list(sources)] * 2
    some = {name: sources[name] for name in ("three", "one")}
    assert_same(dict(ask(some, pools, device="cpu")), {name: alone[name] for name in some})


def test_photographs_are_resized_once_for_all(sources, tmp_path, monkeypatch):
    shapes = RNG.integers(20, 40, (70, 2))
    images = [RNG.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]
    pool = RaggedPool(tmp_path / "a.npy", write_ragged(tmp_path / "a.npy", images))
    view, resized = ResizedCrop(16, min_scale=0.3, flip=True), []
    options = {"device": "cpu", "view": view}
    alone = {n: run_over_pools(one, {"train": pool}, **options) for n, one in sources.items()}
    plain = ResizedCrop.plain
    monkeypatch.setattr(
        ResizedCrop,
        "plain",
        lambda self, pool, rows: resized.append(rows[0]) or plain(self, pool, rows),
    )
    assert_same(dict(ask(sources, {"train": pool}, **options)), alone)
    assert resized == [0, 64]


def test_sources_with_views_of_their_own_share_a_pass_where_these_are_the_same(
    tmp_path, passes, caplog
):
    whole = {"size": 16, "shorter_side": 16, "interpolation": "bilinear", "mode": "center"}
    squash = {**whole, "shorter_side": 20, "mode": "squash"}
    told = {
        "plain": {},
        "squash": {"input": squash},
        "same": {"input": whole},
        "bicubic": {"input": {**whole, "interpolation": "bicubic"}},
        "filled": {"input": {**whole, "fill": [1, 2, 3]}},
        "squash too": {"input": squash},
    }
    sources = {
        name: save_source(tmp_path, f"convnet_tiny-{name}", seed=i, **facts)
        for i, (name, facts) in enumerate(told.items())
    }
    pools, options = {"train": IMAGES}, {"device": "cpu", "view": None, "stored_side": 16}
    alone = {n: run_over_pools(one, pools, **options) for n, one in sources.items()}
    passes.clear()
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert_same(dict(ask(sources, pools, **options)), alone)
    assert sorted(passes) == [["bicubic"], ["filled"], ["plain", "same"], ["squash", "squash too"]]
    warned = sorted(record.args[0] for record in caplog.records)
    assert warned == ["convnet_tiny-squash", "convnet_tiny-squash too"]


def test_models_are_together_in_memory_up_to_a_limit(sources, monkeypatch, passes):
    alone = {n: run_over_pools(one, {"train": IMAGES}, device="cpu") for n, one in sources.items()}
    sizes = {name: one.path.stat().st_size for name, one in sources.items()}
    live, most = weakref.WeakSet(), []
    load_model, outputs = together.load_model, together.forward_together

    def loading(path):
        model, meta = load_model(path)
        live.add(model)
        return model, meta

    def asking(*arguments, **options):
        most.append(len(live))
        return outputs(*arguments, **options)

    monkeypatch.setattr(together, "load_model", loading)
    monkeypatch.setattr(together, "forward_together", asking)
    for limit, expected in (
        (sizes["one"] + sizes["two"], [["one", "two"], ["three"], ["four"], ["five"]]),
        (1, [[name] for name in sources]),
        (sum(sizes.values()), [list(sources)]),
    ):
        monkeypatch.setattr(together, "MODEL_BYTES", limit)
        passes.clear()
        most.clear()
        gc.collect()
        asked = ask(sources, {"train": IMAGES}, device="cpu")
        first, said = next(asked)
        # Their memory is free before anything is done with what they say.
        gc.collect()
        assert len(live) == 0
        assert_same({first: said, **dict(asked)}, alone)
        if limit != sizes["one"] + sizes["two"]:
            assert passes == expected
        assert most == list(map(len, passes))
        for together_ in passes:
            assert len(together_) == 1 or sum(sizes[name] for name in together_) <= limit


def test_answers_are_together_in_memory_up_to_a_limit(sources, monkeypatch, passes):
    pools = {"train": IMAGES, "test": IMAGES[:10]}
    alone = {n: run_over_pools(one, pools, device="cpu") for n, one in sources.items()}
    said = {n: sum(v.size for v in pools["train"].values()) for n, pools in alone.items()}
    numbers = {name: total // 30 for name, total in said.items()}  # an image's
    monkeypatch.setattr(together, "FEW_ANSWERS", 0)
    names = list(sources)
    for most, expected in (
        (4 * (numbers["one"] + numbers["two"]), names[:2]),
        (4 * (numbers["one"] + numbers["two"]) - 1, names[:1]),
        (4 * sum(numbers.values()), names),
    ):
        monkeypatch.setattr(together, "ANSWER_BYTES", most)
        passes.clear()
        assert_same(dict(ask(sources, pools, device="cpu")), alone)
        assert passes[0] == passes[1] == expected
    # A few images' take no room.
    monkeypatch.setattr(together, "ANSWER_BYTES", 1)
    monkeypatch.setattr(together, "FEW_ANSWERS", 4 * 40 * sum(numbers.values()))
    passes.clear()
    assert_same(dict(ask(sources, pools, device="cpu")), alone)
    assert passes == [names] * 2


def failing(tmp_path):
    """Sources that fail, each in its own way, and what it says."""
    damaged = save_source(tmp_path, "convnet_tiny-damaged")
    damaged.path.write_bytes(damaged.path.read_bytes()[:-10])
    text = {"fig": np.ones(3), "lime": np.arange(3)}
    other = save_source(tmp_path, "convnet_tiny-other", 4)
    return {
        "damaged": (damaged, "damaged.*model.safetensors is damaged"),
        "none": (Source(tmp_path / "none/model.safetensors"), "No such file or directory: .*none"),
        "headless": (
            save_source(tmp_path, "convnet_tiny-headless", 0),
            "source convnet_tiny-headless has no classifier, so that",
        ),
        "infinite": (
            save_source(tmp_path, "convnet_tiny-infinite", bias=np.inf),
            "^source convnet_tiny-infinite: its pseudo_labels are not finite$",
        ),
        "text": (
            replace(other, head="zero_shot", text=text),
            "^source convnet_tiny-other: its image embeddings have 4 numbers and the text embed",
        ),
    }


def test_sources_that_fail_leave_the_others_alone_and_say_what_they_say_alone(sources, tmp_path):
    bad = failing(tmp_path)
    pools = {"train": IMAGES, "test": IMAGES[:7]}
    alone = {n: run_over_pools(one, pools, device="cpu") for n, one in sources.items()}
    names = [name for pair in zip(bad, sources, strict=True) for name in pair]
    every = {**sources, **{name: source for name, (source, _) in bad.items()}}
    found = dict(ask({name: every[name] for name in names}, pools, device="cpu"))
    for name, (source, message) in bad.items():
        error = found.pop(name)
        with pytest.raises(type(error), match=message) as raised:
            run_over_pools(source, pools, device="cpu")
        assert str(raised.value) == str(error)
    assert_same(found, alone)


def test_a_source_without_memory_leaves_the_others_alone(sources, monkeypatch):
    pools = {"train": IMAGES, "test": IMAGES[:7]}
    alone = {n: run_over_pools(one, pools, device="cpu") for n, one in sources.items()}
    features_and_logits = Classifier.features_and_logits

    def greedy(self, batch):
        # The second source's alone, and not before the second pool.
        if self.num_classes == 3 and len(batch) == 7:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return features_and_logits(self, batch)

    monkeypatch.setattr(Classifier, "features_and_logits", greedy)
    found = dict(ask(sources, pools, device="cpu"))
    assert str(found.pop("two")) == "CUDA out of memory. Tried to allocate 20.00 GiB"
    del alone["two"]
    assert_same(found, alone)


def test_a_view_that_cannot_be_made_is_every_sources_error(sources, tmp_path):
    images = [np.zeros((9, 9 + i, 3), np.uint8) for i in range(3)]
    pool = RaggedPool(tmp_path / "a.npy", write_ragged(tmp_path / "a.npy", images))
    found = dict(ask(sources, {"train": pool}, device="cpu", view=PaddedCrop(2)))
    assert found.keys() == sources.keys()
    assert {str(error) for error in found.values()} == {
        f"{tmp_path / 'a.npy'}: its images have many sizes and need a view that resizes them"
    }


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_each_source_says_on_cuda_what_it_says_alone(sources, tmp_path):
    shapes = RNG.integers(20, 40, (150, 2))
    images = [RNG.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]
    pool = RaggedPool(tmp_path / "a.npy", write_ragged(tmp_path / "a.npy", images))
    crop = ResizedCrop(16, min_scale=0.3, flip=True)
    for view, pools in ((crop, {"train": pool}), (AS_STORED, {"train": IMAGES, "test": IMAGES})):
        found = dict(ask(sources, pools, device="cuda", view=view))
        for name, source in sources.items():
            alone = run_over_pools(source, pools, device="cuda", view=view)
            on_cpu = run_over_pools(source, pools, device="cpu", view=view)
            for at, outputs in alone.items():
                for kind, values in outputs.items():
                    said = found[name][at][kind]
                    np.testing.assert_allclose(said, values, atol=1e-5, err_msg=f"{name} {kind}")
                    if kind == "features" or name != "five":  # its softmax is a sharp one
                        np.testing.assert_allclose(said, on_cpu[at][kind], rtol=0.02, atol=0.02)
    assert torch.cuda.memory_allocated() < 2**20
