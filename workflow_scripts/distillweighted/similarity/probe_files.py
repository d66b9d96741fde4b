"""The linear probe of a target's nearest source: fitted, and stored with what it says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from distillweighted.files.tensors import load_tensors, save_tensors
from distillweighted.seeds import derive_seed
from distillweighted.similarity.jobs import ProbeJob
from distillweighted.similarity.linear_probe import fit_probe
from distillweighted.similarity.tables import read_weights
from distillweighted.tasks.prepared import read_meta
from distillweighted.tasks.splits import read_split


def write_probe(
    job: ProbeJob,
    target: Mapping[str, Path],
    inference: Mapping[str, Path],
    weights: Path,
    output: Path,
) -> None:
    """Fit the probe of the source with the most weight, and store its probabilities.

    The file has pseudo_labels float32 [n, C] of the training images and, where the source was asked
    about them, test_probabilities float32 [m, C] of the test images; its facts are source and
    strength.

    Args:
        job: The target.
        target: Its split, labeled, index and meta.
        inference: Outputs of each source of the job.
        weights: Weights over the sources, all on the nearest one.
        output: The file to write.

    Raises:
        ValueError: Where the probe cannot be fitted; names the source.
        DamagedError: Where a file is not as it was written.
    """
    shares = read_weights(weights)
    source = max(sorted(shares), key=shares.__getitem__)
    outputs, _ = load_tensors(inference[source])
    rows = read_split(target["split"], target["labeled"], target["index"])
    num_classes = read_meta(target["meta"].parent)["num_classes"]
    seed = derive_seed(job.seed, job.target, "linear probe") % 2**32
    try:
        probe = fit_probe(outputs["features"][rows.labeled], rows.labels, num_classes, seed=seed)
    except ValueError as error:
        raise ValueError(f"source '{source}' of target '{job.target}': {error}") from error
    found = {"pseudo_labels": probe.probabilities(outputs["features"])}
    if "test_features" in outputs:
        found["test_probabilities"] = probe.probabilities(outputs["test_features"])
    save_tensors(output, found, {"source": source, "strength": probe.strength})
