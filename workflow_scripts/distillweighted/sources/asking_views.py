"""Jobs that ask sources about fixed views of a target's images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from distillweighted.batches.fixed_views import FixedViews
from distillweighted.batches.views import AS_STORED, View, make_view
from distillweighted.sources.asking import Files, Target, with_pseudo_labels
from distillweighted.sources.jobs import InferenceJob, ViewsJob
from distillweighted.sources.model import NEED_FEATURES
from distillweighted.sources.outputs import save_inference
from distillweighted.sources.together import Answers
from distillweighted.tasks.pools import Pool


class ViewedTarget(Target):
    """Fixed views of a target's training images, a pool for each number of a view.

    Args:
        images: The target's training images.
        index: Its images.csv.
        count: How many views of each.
        seen: How students see images: arguments of `batches.views.make_view`.
        scratch: Folder for copies of the images on this machine's own disk.
        threads: CPU threads to make views with.
    """

    whole = True

    def __init__(
        self,
        images: Path,
        index: Path,
        count: int,
        seen: Mapping[str, Any],
        *,
        scratch: str | None,
        threads: int,
    ):
        super().__init__(images, index, None, scratch)
        self._count, self._seen = count, make_view(seen, threads=threads)

    def view(self, job: InferenceJob, threads: int) -> View | None:
        # A view has the size that networks see; a source's own transform makes it its own size.
        return None if job.view is None else AS_STORED

    def names(self, pool: str) -> list[str]:
        return super().names("train")

    def stored_side(self) -> None:
        return None

    def pools(self, job: InferenceJob) -> dict[str, Pool]:
        images = super().pools(job)["train"]
        views = FixedViews(images, self._seen, self._count, target=job.target)
        return {str(k): views.pool(k) for k in range(self._count)}


def store_views(job: ViewsJob, said: Answers, own: Files, target: Target, output: Path) -> None:
    """Write what a source says of fixed views, keyed by what made it.

    The file has pseudo_labels of the views of number 0 in the order of the images, then of number
    1, and so on; and features where students learn from those.

    Args:
        job: The source and how it was asked.
        said: Its answers, of `asking.answers`.
        own: Its own files.
        target: The views.
        output: The file.
    """
    asked, parts = job.inference, [said[str(k)] for k in range(job.count)]
    together = {kind: np.concatenate([part[kind] for part in parts]) for kind in parts[0]}
    outputs = with_pseudo_labels(together, asked)
    if asked.head not in NEED_FEATURES:
        del outputs["features"]
    told = [job.count, job.seen, asked.view, asked.statistics, asked.activation, asked.head]
    key = f"{target.fingerprint(asked, own)}:{json.dumps([*told, asked.settings])}"
    facts = {"source": asked.source, "target": asked.target, "views": job.count, "key": key}
    save_inference(output, outputs, facts)
