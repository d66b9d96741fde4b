"""Rules probe_source and rank_sources."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import INITIAL, RUN, SOURCES, TARGET, World

import probe_source
import rank_sources
from distillweighted.files.tensors import load_tensors, save_tensors
from distillweighted.seeds import derive_seed
from distillweighted.similarity.jobs import ProbeJob, RankingJob
from distillweighted.similarity.linear_probe import cross_validate, fit_probe
from distillweighted.sources.outputs import load_inference
from distillweighted.tasks.splits import read_split

NEAREST = "resnet50_tiny_textures_a"


def rows_of(world: World):
    return read_split(*(world.data[name] for name in ("split", "labeled", "index")))


def write_probe(world: World, weights: str) -> Path:
    """Run probe_source where these are the weights."""
    table = world.root / "nearest.csv"
    table.write_text(weights)
    job = ProbeJob.of(RUN.jobs.probe(TARGET, "0").as_params())
    target = {name: world.data[name] for name in ("split", "labeled", "index", "meta")}
    output = world.root / "probe.safetensors"
    probe_source.main(job, target, {s: world.inference(s) for s in job.sources}, table, output)
    return output


def weights_on(source: str) -> str:
    return "source,weight\n" + "".join(f"{name},{float(name == source)}\n" for name in SOURCES)


def test_a_probe_is_of_the_nearest_source_and_of_labelled_images_alone(world):
    # What a source says of test images is there for own targets.
    outputs, facts = load_tensors(world.inference(NEAREST))
    outputs["test_features"] = outputs["features"][:7] + 1
    save_tensors(world.inference(NEAREST), outputs, facts)
    stored, said = load_tensors(write_probe(world, weights_on(NEAREST)))
    rows = rows_of(world)
    seed = derive_seed(0, TARGET, "linear probe") % 2**32
    probe = fit_probe(outputs["features"][rows.labeled], rows.labels, 3, seed=seed)
    assert said == {"source": NEAREST, "strength": probe.strength}
    expected = probe.probabilities(outputs["features"])
    assert (stored["pseudo_labels"] == expected).all() and expected.shape == (60, 3)
    assert (stored["test_probabilities"] == probe.probabilities(outputs["test_features"])).all()
    # Without them there is nothing to say of the test images.
    other, said = load_tensors(write_probe(world, weights_on("alexnet_tiny_latin")))
    assert said["source"] == "alexnet_tiny_latin" and set(other) == {"pseudo_labels"}


def test_of_equal_weights_the_first_name_has_the_probe(world):
    share = "source,weight\n" + "".join(f"{name},{1 / 3}\n" for name in sorted(SOURCES)[::-1])
    _, said = load_tensors(write_probe(world, share))
    assert said["source"] == min(SOURCES)


def test_a_probe_that_cannot_be_fitted_names_the_source(world):
    path = world.inference(NEAREST)
    outputs, facts = load_tensors(path)
    outputs["features"][rows_of(world).labeled[0], 0] = np.nan
    save_tensors(path, outputs, facts)
    words = f"source '{NEAREST}' of target '{TARGET}': a linear probe needs finite features"
    with pytest.raises(ValueError, match=words):
        write_probe(world, weights_on(NEAREST))


def rank(world: World, **changes) -> tuple[pd.DataFrame, str]:
    """Run rank_sources; returns the table and the text."""
    start = world.inference(INITIAL)
    shutil.copy(world.inference("convnet_tiny_mosaics_a"), start)
    facts = {}
    for number, source in enumerate([*SOURCES, INITIAL]):
        facts[source] = world.model(source).with_name("meta.json")
        facts[source].write_text(json.dumps({"gmacs": number + 0.5, "parameters": None}))
    job = RankingJob.of(RUN.jobs.ranking(TARGET).as_params())
    job = replace(job, half_samples=10, **changes)
    target = {name: world.data[name] for name in ("split", "labeled", "index")}
    output = world.root / "ranking" / "lesions_b.csv"
    output.parent.mkdir(exist_ok=True)
    rank_sources.main(job, target, {m: world.inference(m) for m in job.models}, facts, output)
    return pd.read_csv(output), output.with_suffix(".md").read_text()


def test_a_ranking_has_the_scores_that_weights_come_of_and_what_a_probe_reaches(world):
    assert RUN.ranked_models(TARGET) == [*SOURCES, INITIAL]
    assert RUN.ranked_models(TARGET) == [*RUN.jobs.ranking(TARGET).models]
    table, text = rank(world)
    assert len(table) == 3 * 2 * 2
    similarity = pd.read_csv(world.similarity)
    keys = ["source", "metric", "representation"]
    both = table.merge(similarity, on=keys, suffixes=("", "_stored"), validate="one_to_one")
    assert len(both) == 12
    np.testing.assert_allclose(both["score"], both["score_stored"], atol=1e-12)
    for _, group in table.groupby(["metric", "representation"]):
        assert group["rank"].tolist() == [1, 2, 3]
        assert (np.diff(group["score"]) <= 0).all()
    rows = rows_of(world)
    seed = derive_seed(0, TARGET, "linear probe") % 2**32
    for row in table.itertuples():
        features = load_inference(world.inference(row.source))["features"][rows.labeled]
        right = cross_validate(features, rows.labels, seed=seed).correct
        assert row.linear_probe == pytest.approx(100 * right.mean())
        assert row.gmacs == [*SOURCES].index(row.source) + 0.5 and np.isnan(row.parameters)
    first = table.iloc[0]
    assert (first["metric"], first["representation"]) == ("parc", "features")
    assert text.startswith("# Sources for lesions_b\n\nThe source nearest to lesions_b is ")
    assert f"| 1 | {first['source']} | {first['score']:.3f} |" in text
    assert "| above the start |" in text
    foretold = json.loads((world.root / "ranking/lesions_b.json").read_text())
    assert foretold["nearest"] == first["source"] and f"is {foretold['verdict']}" in text
    # The start's outputs are those of this source here.
    line = next(part for part in text.splitlines() if "| convnet_tiny_mosaics_a |" in part)
    assert "| +0.0 (+0.0 to +0.0) |" in line
    pictures = [world.root / "ranking" / f"lesions_b.{ending}" for ending in ("png", "pdf")]
    assert pictures[0].read_bytes().startswith(b"\x89PNG")
    assert pictures[1].read_bytes().startswith(b"%PDF")


def test_a_student_without_a_start_has_no_column_for_it(world):
    _, text = rank(world, start=None)
    foretold = json.loads((world.root / "ranking/lesions_b.json").read_text())
    assert foretold["verdict"] is None and f"nearest to lesions_b is {foretold['nearest']}" in text
    assert "above the start" not in text and "The student starts from no model" in text


def test_a_ranking_of_many_sources_shows_the_nearest_and_counts_the_rest(world, monkeypatch):
    monkeypatch.setattr("distillweighted.analysis.ranking_text.SHOWN", 2)
    table, text = rank(world)
    third = table.iloc[2]["source"]
    assert f"| 3 | {third}" not in text and "(2 of 3 sources; the CSV file has all.)" in text
    assert third in table["source"].tolist()
