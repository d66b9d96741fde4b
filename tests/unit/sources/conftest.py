"""Caches of pretrained models, laid out as huggingface_hub and torch.hub lay theirs out."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Caches:
    """Empty caches of this test alone."""

    hub: Path
    torch: Path

    def put(self, repository, state=None, config=None, *, file="model.safetensors"):
        """A repository with weights and config.json, as its download leaves it."""
        import torch
        from safetensors.torch import save_file

        folder = self.hub / f"models--{repository.replace('/', '--')}"
        snapshot = folder / "snapshots" / COMMIT
        snapshot.mkdir(parents=True)
        (folder / "refs").mkdir()
        (folder / "refs/main").write_text(COMMIT)
        if state is not None and file.endswith(".safetensors"):
            save_file({n: v.contiguous().clone() for n, v in state.items()}, snapshot / file)
        elif state is not None:
            torch.save(state, snapshot / file)
        if config is not None:
            (snapshot / "config.json").write_text(json.dumps(config))
        return snapshot


@pytest.fixture(scope="session")
def lists(tmp_path_factory):
    """Where lists of models are kept, for all tests."""
    return tmp_path_factory.mktemp("lists")


@pytest.fixture
def caches(tmp_path, monkeypatch, lists) -> Caches:
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(lists))
    (tmp_path / "torch/hub/checkpoints").mkdir(parents=True)
    return Caches(tmp_path / "hf/hub", tmp_path / "torch/hub/checkpoints")
