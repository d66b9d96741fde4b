"""Records of jobs: out as plain values, back as they were."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from distillweighted.jobs import Job
from distillweighted.similarity.jobs import WeightsJob


@dataclass(frozen=True)
class Inner:
    name: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Outer(Job):
    inner: Inner
    parts: tuple[Inner, ...]
    view: dict
    nothing: None
    p: float


def test_records_tuples_and_mappings_come_out_as_dictionaries_and_lists():
    job = Outer(Inner("a", (1.0, 2.0)), (Inner("b", ()),), {"kind": (1, 2)}, None, math.inf)
    assert job.as_params() == {
        "inner": {"name": "a", "values": [1.0, 2.0]},
        "parts": [{"name": "b", "values": []}],
        "view": {"kind": [1, 2]},
        "nothing": None,
        "p": "inf",
    }
    json.dumps(job.as_params(), allow_nan=False)


@pytest.mark.parametrize(
    "value", [Path("a"), np.zeros(2), {1, 2}, object()], ids=lambda value: type(value).__name__
)
def test_a_value_that_an_engine_would_not_compare_is_an_error(value):
    with pytest.raises(TypeError, match="cannot be told a value of type"):
        Outer(Inner("a", ()), (), {"kind": value}, None, 1.0).as_params()


@pytest.mark.parametrize("p", [None, 0.0, 0.5, 12.0, math.inf])
def test_an_exponent_comes_back_as_the_number_it_was(p):
    job = WeightsJob(
        target="isic", seed=0, weighting="power", p=p, draw=None, architecture=None, metric="parc",
        representation="features", fallback="error", keep=None, random_sources=None,
        architectures={"a": "b"},
    )  # fmt: skip
    assert WeightsJob.of(job.as_params()) == job


def test_params_of_another_job_are_an_error():
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        Outer.of({"other": 1})
