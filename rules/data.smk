# Tasks: images on disk, and which of a target's images are labelled.


rule fetch:
    log:
        "<results>/logs/fetch.log",
    localrule: True
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=1440,
    params:
        code=code_of("fetch"),
        job=RUN.jobs.fetch(needed_data_sets(config)).as_params(),
    script:
        "../workflow_scripts/fetch.py"


# A data set's files are no inputs, so that a plan can be made without them: `files` says whether they
# changed, and what is missing is told all at once when work starts.
rule prepare_data_set:
    output:
        train_images="<results>/data/{task}/train_images.npy",
        test_images="<results>/data/{task}/test_images.npy",
        index="<results>/data/{task}/images.csv",
        labels="<results>/data/{task}/labels.csv",
        meta="<results>/data/{task}/meta.json",
    log:
        "<results>/logs/prepare_data_set/{task}.log",
    benchmark:
        "<results>/benchmarks/prepare_data_set/{task}.tsv"
    wildcard_constraints:
        task=alternatives(
            name for name, task in RUN.tasks.items() if not (task.generated or task.own)
        ),
    conda:
        "../envs/distillweighted.yaml"
    threads: 4
    resources:
        mem_mb=per_attempt(lambda wc: RUN.resources.memory_mb(wc.task, at_once=16)),
        runtime=per_attempt(lambda wc: RUN.resources.preparation_minutes(wc.task)),
    params:
        code=lambda wc: code_of("prepare_data_set", uses=[RUN.tasks[wc.task].reader]),
        job=lambda wc: RUN.jobs.preparation(wc.task).as_params(),
    script:
        "../workflow_scripts/prepare_data_set.py"


# As of a data set, `files` says whether the images changed; what is missing or odd among them was told
# when the configuration was checked.
rule prepare_own_task:
    output:
        train_images="<results>/data/{task}/train_images.npy",
        test_images="<results>/data/{task}/test_images.npy",
        index="<results>/data/{task}/images.csv",
        labels="<results>/data/{task}/labels.csv",
        meta="<results>/data/{task}/meta.json",
    log:
        "<results>/logs/prepare_own_task/{task}.log",
    benchmark:
        "<results>/benchmarks/prepare_own_task/{task}.tsv"
    wildcard_constraints:
        task=alternatives(name for name, task in RUN.tasks.items() if task.own),
    conda:
        "../envs/distillweighted.yaml"
    threads: 4
    resources:
        mem_mb=per_attempt(lambda wc: RUN.resources.own_preparation_memory_mb(wc.task)),
        runtime=per_attempt(lambda wc: RUN.resources.preparation_minutes(wc.task)),
    params:
        code=code_of("prepare_own_task"),
        job=lambda wc: RUN.jobs.own_preparation(wc.task).as_params(),
    script:
        "../workflow_scripts/prepare_own_task.py"


rule prepare_task:
    output:
        train_images="<results>/data/{task}/train_images.npy",
        test_images="<results>/data/{task}/test_images.npy",
        index="<results>/data/{task}/images.csv",
        labels="<results>/data/{task}/labels.csv",
        meta="<results>/data/{task}/meta.json",
    log:
        "<results>/logs/prepare_task/{task}.log",
    benchmark:
        "<results>/benchmarks/prepare_task/{task}.tsv"
    wildcard_constraints:
        task=alternatives(name for name, task in RUN.tasks.items() if task.generated),
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(lambda wc: RUN.resources.memory_mb(wc.task)),
        runtime=per_attempt(lambda wc: RUN.resources.generation_minutes(wc.task)),
    params:
        code=code_of("prepare_task"),
        job=lambda wc: RUN.jobs.generation(wc.task).as_params(),
    script:
        "../workflow_scripts/prepare_task.py"


rule split_target:
    input:
        index="<results>/data/{target}/images.csv",
        labels="<results>/data/{target}/labels.csv",
    output:
        split="<results>/splits/{target}/seed{replicate}.csv",
        labeled="<results>/splits/{target}/seed{replicate}_labeled.csv",
    log:
        "<results>/logs/split_target/{target}-seed{replicate}.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("split_target"),
        job=lambda wc: RUN.jobs.split(wc.target, wc.replicate).as_params(),
    script:
        "../workflow_scripts/split_target.py"


rule splits:
    input:
        RUN.every(RUN.paths.split),
