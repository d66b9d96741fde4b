"""A user's own task with arrays and a program as its sources, through the rules."""

import numpy as np
import torch
import yaml
from quirky import write_task
from safetensors.numpy import load_file
from test_own_target import OWN, SNAKEFILE
from tiny_workflow import Workflow
from torch import nn

SOURCES = [{"from": "arrays", "file": "answers.npz"}, {"from": "program", "file": "net.pt2"}]


class Net(nn.Module):
    def forward(self, pixels):
        return pixels[:, :, ::4, ::4].flatten(1)


def test_answers_and_a_program_serve_an_own_task(tmp_path):
    workflow, conf = Workflow(tmp_path), tmp_path / "conf"
    write_task(conf / "photos", per_class=6, unlabeled=4)
    places = {part: f"photos/{part}" for part in ("labeled", "unlabeled")}
    config = {**OWN, "targets": [{"name": "mine", **places}], "sources": SOURCES}
    config["student"] = {"initialization": "random"}
    (conf / "own.yaml").write_text(yaml.safe_dump(config))
    names = [f"labeled/{label}/{n}.png" for label in "ab" for n in range(6)]
    names += [f"unlabeled/{n}.png" for n in range(4)]
    features = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)
    np.savez(conf / "answers.npz", images=np.array(names[1:]), features=features[1:])
    arguments = ["inference", "-s", SNAKEFILE, "--configfile", "conf/own.yaml"]

    torch.export.save(torch.export.export(Net(), (torch.zeros(1, 3, 16, 16),)), conf / "net.pt2")
    done = workflow.snakemake(*arguments)
    text = done.stdout + done.stderr
    assert done.returncode != 0 and not (tmp_path / "results/tiny/data").exists()
    assert f"source answers cannot serve mine: {conf}/answers.npz: 1 of 16 images are not" in text
    assert "such as 'labeled/a/0.png'; its 15 are named as" in text and "Traceback" not in text
    np.savez(conf / "answers.npz", images=np.array(names), features=features)
    done = workflow.snakemake(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "results/tiny/inference/mine"
    for source, width in (("answers", 5), ("net", 3 * 4 * 4)):
        outputs = load_file(folder / f"{source}.safetensors")
        assert outputs["features"].shape == (14, width)
        assert outputs["test_features"].shape == (2, width)
    answered = {tuple(row) for row in load_file(folder / "answers.safetensors")["features"]}
    assert answered < {tuple(row) for row in features}
