"""The documentation's code runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), flags=re.DOTALL)


def test_what_a_grid_will_do(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    exec(BLOCKS[0], {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "paper: 8 targets, 28 sources (204 pairs of both), 372 students"
    names = lines[1]
    assert names.count(",") == 23 and "resnet50_nabird" in names and "cub200" not in names
    assert "origin='bank', num_outputs=555" in lines[2]
    assert lines[3] == "distill_single-alexnet_caltech101 distill_single-0"
    assert lines[-1] == "results/paper/splits/cub200/seed0.csv"


@pytest.mark.usefixtures("one_thread")
def test_one_student_by_hand(capsys):
    names = {}
    exec(BLOCKS[1], names)
    assert len(BLOCKS) == 2
    # The nearer source has the weight, and the student knows more than chance, one of six.
    assert names["weights"]["lesions_a"] > 0.9
    assert sum(names["weights"].values()) == pytest.approx(1)
    assert names["accuracy"] > 1.5 / 6
    assert names["outcome"].history[-1]["step"] == 80
    assert "%" in capsys.readouterr().out
