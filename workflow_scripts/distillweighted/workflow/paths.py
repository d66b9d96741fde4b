"""Where every file of a run lies, below the working directory."""

from __future__ import annotations

from dataclasses import dataclass

STUDENT_PRODUCTS = ("metrics.json", "history.csv", "predictions.csv", "model.safetensors")
"""The files of a finished student."""


@dataclass(frozen=True)
class Paths:
    """The layout of a results tree."""

    results: str
    """Its root, as in results/demo."""

    def task(self, task: str, file: str) -> str:
        """A file of a prepared task: train_images.npy, images.csv, ..."""
        return f"{self.results}/data/{task}/{file}"

    def split(self, target: str, replicate: str) -> str:
        """Which images are labelled, unlabelled and for testing."""
        return f"{self.results}/splits/{target}/seed{replicate}.csv"

    def labeled(self, target: str, replicate: str) -> str:
        """The labels of the labelled images."""
        return f"{self.results}/splits/{target}/seed{replicate}_labeled.csv"

    def model(self, name: str) -> str:
        """A source, or a model that students start from."""
        return f"{self.results}/sources/{name}/model.safetensors"

    def model_facts(self, name: str) -> str:
        """What a model is."""
        return f"{self.results}/sources/{name}/meta.json"

    def inference(self, target: str, source: str) -> str:
        """What a source says of a target's images."""
        return f"{self.results}/inference/{target}/{source}.safetensors"

    def asked(self, target: str, cohort: str) -> str:
        """The folder of what a cohort of sources says of a target's images."""
        return f"{self.results}/inference/{target}/.cohorts/{cohort}"

    def views(self, target: str, count: int, source: str) -> str:
        """What a source says of so many fixed views of each of a target's images."""
        return f"{self.results}/inference/{target}/views{count}/{source}.safetensors"

    def asked_views(self, target: str, count: int, cohort: str) -> str:
        """The folder of what a cohort of sources says of them."""
        return f"{self.results}/inference/{target}/views{count}/.cohorts/{cohort}"

    def similarity(self, target: str, replicate: str) -> str:
        """The scores of a target's sources."""
        return f"{self.results}/similarity/{target}/seed{replicate}.csv"

    def weights(self, target: str, replicate: str, recipe: str) -> str:
        """The weights of a recipe over the sources."""
        return f"{self.results}/weights/{target}/seed{replicate}/{recipe}.csv"

    def nearest(self, target: str, replicate: str) -> str:
        """The weights that are all on the most similar source (p = inf)."""
        return self.weights(target, replicate, "distill_weighted-pinf")

    def choice(self, target: str, replicate: str) -> str:
        """The settings that were chosen on validation images, and the recipe to deploy."""
        return f"{self.results}/choices/{target}/seed{replicate}.json"

    def probe(self, target: str, replicate: str) -> str:
        """What a linear probe on the nearest source's features says of a target's images."""
        return f"{self.results}/probes/{target}/seed{replicate}.safetensors"

    def ranking(self, target: str, ending: str = "csv") -> str:
        """The ranking of a target's sources."""
        return f"{self.results}/ranking/{target}.{ending}"

    def student(self, target: str, recipe: str, replicate: str, file: str = "") -> str:
        """A file of a finished student, or its folder."""
        folder = f"{self.results}/students/{target}/{recipe}/seed{replicate}"
        return f"{folder}/{file}" if file else folder

    def handed_over(self, target: str, file: str) -> str:
        """A file of the student that is handed over."""
        return f"{self.results}/student/{target}/{file}"

    def cohort(self, target: str, replicate: str, cohort: str) -> str:
        """The folder that a cohort is trained in."""
        return f"{self.results}/students/{target}/.cohorts/seed{replicate}/{cohort}"

    def evaluated(self, target: str, replicate: str, cohort: str) -> str:
        """The folder that a cohort is evaluated in."""
        return f"{self.results}/students/{target}/.cohorts/evaluated/seed{replicate}/{cohort}"

    def task_stamp(self, target: str, replicate: str) -> str:
        """As new as the newest of a target's images, labels and split."""
        return f"{self.results}/students/{target}/.stamps/seed{replicate}"

    def sources_stamp(self, target: str) -> str:
        """As new as the newest of what all sources say of a target's images."""
        return f"{self.results}/students/{target}/.stamps/sources"

    def saved_training(self, rule: str, job: str) -> str:
        """The state of an unfinished training."""
        return f"{self.results}/checkpoints/{rule}/{job}.pt"

    def table(self, name: str, ending: str = "csv") -> str:
        """A table of the paper."""
        return f"{self.results}/tables/{name}.{ending}"

    def table_files(self, name: str) -> list[str]:
        """A table as CSV, Markdown and LaTeX."""
        return [self.table(name, ending) for ending in ("csv", "md", "tex")]

    def figure(self, name: str, ending: str = "png") -> str:
        """A figure of the paper."""
        return f"{self.results}/figures/{name}.{ending}"
