"""Rule prepare_task: generate the images of one task of the embedded benchmark."""

from pathlib import Path

from distillweighted.tasks.embedded import class_names, generate
from distillweighted.tasks.prepared import write_task


def main(
    folder: Path, *, task: str, seed: int, image_size: int, train_images: int, test_images: int
) -> None:
    """Write the prepared task `task` to `folder` (see `distillweighted.tasks.prepared`)."""
    sizes = {"train": train_images, "test": test_images}
    pools = {
        pool: generate(task, num_images=size, pool=pool, seed=seed, image_size=image_size)
        for pool, size in sizes.items()
    }
    write_task(folder, task=task, classes=class_names(task), seed=seed, pools=pools)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(Path(snakemake.output.meta).parent, **snakemake.params.settings)
