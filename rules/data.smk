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
        tasks=needed_data_sets(config),
        checkpoints=[
            (model_architecture(name), model_task(name))
            for name in all_models()
            if not is_trained(name)
        ],
        data_root=config["data_root"],
        models_root=config["models_root"],
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
        task=alternatives(DATA_SETS),
    conda:
        "../envs/distillweighted.yaml"
    threads: 4
    resources:
        mem_mb=growing(lambda wc: memory_mb(wc.task, at_once=16)),
        runtime=growing(
            lambda wc: round(10 + sum(task_images(config, wc.task).values()) * 0.1 / 60)
        ),
    params:
        code=lambda wc: code_of("prepare_data_set", data_set=wc.task),
        data_root=str(DATA_ROOT),
        files=lambda wc: data_set_state(TASKS[wc.task].data_set, DATA_ROOT),
        check_counts=config["images"]["check_counts"],
    script:
        "../workflow_scripts/prepare_data_set.py"


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
        task=alternatives(set(TASKS) - set(DATA_SETS)),
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=growing(lambda wc: memory_mb(wc.task)),
        runtime=growing(lambda wc: 10 + sum(task_images(config, wc.task).values()) // 1000),
    params:
        code=code_of("prepare_task"),
        settings=lambda wc: {
            "task": wc.task,
            "seed": config["embedded"]["seed"],
            "image_size": config["embedded"]["image_size"],
            **task_images(config, wc.task),
        },
    script:
        "../workflow_scripts/prepare_task.py"


rule split_target:
    input:
        index="<results>/data/{target}/images.csv",
        labels="<results>/data/{target}/labels.csv",
    output:
        split="<results>/splits/{target}/seed{seed}.csv",
        labeled="<results>/splits/{target}/seed{seed}_labeled.csv",
    log:
        "<results>/logs/split_target/{target}-seed{seed}.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code_of("split_target"),
        seed=lambda wc: REPLICATES[wc.seed].seed,
        fraction=lambda wc: REPLICATES[wc.seed].label_fraction,
    script:
        "../workflow_scripts/split_target.py"


rule splits:
    input:
        per_target_and_seed("<results>/splits/{target}/seed{seed}.csv"),
