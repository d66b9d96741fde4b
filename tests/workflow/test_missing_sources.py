"""A user's own models in the workflow: planned without them, and told before any work."""

import pytest
from tiny_workflow import CONFIG


@pytest.fixture
def own(fresh, tmp_path, monkeypatch):
    """The tiny workflow with two models of timm, none of which is on this machine."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    group = {"from": "timm", "models": ["test_vit", "test_resnet"]}
    fresh.configure({**CONFIG, "sources": [*CONFIG["sources"], group]})
    return fresh


def test_a_plan_needs_no_model_and_work_stops_before_it_begins(own, tmp_path):
    told = ("similarity", "--configfile", "tiny.yaml")
    plan = own.snakemake("-n", *told)
    assert plan.returncode == 0, plan.stderr
    done = own.snakemake(*told)
    assert done.returncode == 1
    text = done.stdout + done.stderr
    assert "2 models are not on this machine:" in text
    for name in ("test_resnet.r160_in1k", "test_vit.r160_in1k"):
        cache = tmp_path / "hf/hub"
        command = f"hf download timm/{name} model.safetensors config.json"
        assert f"  {name}: is not in the hub's cache, {cache}: {command}" in text
    assert not list(own.folder.glob("results/tiny/data/*"))
