"""How much memory and time each job asks for, from the sizes in the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distillweighted.workflow.grid import PlannedStudent

if TYPE_CHECKING:
    from distillweighted.workflow.run import Run


@dataclass(frozen=True)
class Resources:
    """What jobs ask for: memory in MB, time in minutes."""

    run: Run
    """The run."""

    gpus: int = 0
    """GPUs that a job which trains or infers has."""

    def memory_mb(self, task: str, at_once: int = 0, networks: int = 0, views: int = 0) -> int:
        """Memory of a job over a task's images, of which networks see some at once.

        Two engines and torch take 1500 MB; the outputs of sources 50 kB an image; ResNet-50, the
        largest network, 80 MB for an image that it is trained on, and 400 MB for itself. Outputs
        for fixed views of the images take as much a view.
        """
        outputs = 0.05 * (1 + views) * self._sizes(task)["train_images"]
        return round(1500 + outputs + self._share(task) * (80 * at_once + 400 * networks))

    def minutes(self, task: str, images: int) -> int:
        """Time for networks to see so many images of a task, twice or more of what it takes.

        A GPU takes some 10 ms for an image of 224 x 224 pixels, a CPU core 200 ms.
        """
        seconds = (0.02 if self.gpus else 0.4) * self._share(task) * images
        return round(10 + seconds / 60)

    def preparation_minutes(self, task: str) -> int:
        """Time to decode a data set."""
        return round(10 + sum(self._sizes(task).values()) * 0.1 / 60)

    def own_preparation_memory_mb(self, task: str) -> int:
        """Memory to decode a user's own images: one of 500 megapixels, and thumbnails of all."""
        return 3000 + round(0.01 * sum(self._sizes(task).values()))

    def generation_minutes(self, task: str) -> int:
        """Time to generate a task."""
        return 10 + sum(self._sizes(task).values()) // 1000

    def source_memory_mb(self, name: str) -> int:
        """Memory to train a source."""
        settings = self.run.source_settings(name)
        return self.memory_mb(self.run.models[name].task, settings.batch_size, networks=1)

    def source_minutes(self, name: str) -> int:
        """Time to train a source and to test it."""
        task, settings = self.run.models[name].task, self.run.source_settings(name)
        images = settings.steps * settings.batch_size + self._sizes(task)["test_images"]
        return self.minutes(task, images)

    def inference_memory_mb(self, target: str) -> int:
        """Memory to run a source over a target's images."""
        return self.memory_mb(target, at_once=64, networks=1)

    def inference_minutes(self, target: str, sources: int = 1) -> int:
        """Time to run some sources over a target's images."""
        return self.minutes(target, sources * self._sizes(target)["train_images"])

    def views_memory_mb(self, target: str, views: int) -> int:
        """Memory to run a source over fixed views of a target's images."""
        return self.memory_mb(target, at_once=64, networks=1, views=views)

    def views_minutes(self, target: str, views: int, sources: int = 1) -> int:
        """Time to run some sources over fixed views of a target's images."""
        return self.minutes(target, views * sources * self._sizes(target)["train_images"])

    def scoring_memory_mb(self, target: str) -> int:
        """Memory to score a target's sources."""
        probes = 0.05 * self.run.config["probe"]["size"] * len(self.run.admissible(target))
        return self.memory_mb(target) + round(probes)

    def scoring_minutes(self, target: str) -> int:
        """Time to score a target's sources."""
        return 10 + len(self.run.admissible(target))

    def ranking_minutes(self, target: str) -> int:
        """Time to rank a target's sources, of which each takes seconds."""
        return 10 + 2 * len(self.run.admissible(target))

    def cohort_memory_mb(self, students: Sequence[PlannedStudent]) -> int:
        """Memory to train the students of a cohort."""
        at_once = self.run.made_from.settings.images_per_step
        views = self.run.made_from.views(students) or 0
        return self.memory_mb(students[0].target, at_once, networks=len(students), views=views)

    def cohort_minutes(self, students: Sequence[PlannedStudent]) -> int:
        """Time to train the students of a cohort, which take their steps in turn, and to test
        them."""
        target, settings = students[0].target, self.run.made_from.settings
        images = settings.steps * settings.images_per_step + self._sizes(target)["test_images"]
        return self.minutes(target, len(students) * images)

    def _sizes(self, task: str) -> dict[str, int]:
        return self.run.tasks[task].sizes(self.run.config)

    def _share(self, task: str) -> float:
        """What a network needs for an image of a task, as a share of that for 224 x 224 pixels."""
        return (self.run.tasks[task].image_size(self.run.config) / 224) ** 2
