"""Rule prepare_task: generate the images of one task of the embedded benchmark."""

from pathlib import Path

from distillweighted.tasks.embedded import class_names, generate
from distillweighted.tasks.jobs import GenerationJob
from distillweighted.tasks.prepared import write_task


def main(job: GenerationJob, folder: Path) -> None:
    """Write the prepared task to `folder` (see `distillweighted.tasks.prepared`)."""
    sizes = {"train": job.train_images, "test": job.test_images}
    pools = {
        pool: generate(
            job.task, num_images=size, pool=pool, seed=job.seed, image_size=job.image_size
        )
        for pool, size in sizes.items()
    }
    write_task(folder, task=job.task, classes=class_names(job.task), seed=job.seed, pools=pools)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(GenerationJob.of(snakemake.params.job), Path(snakemake.output.meta).parent)
