# Tasks: images on disk, and which of a target's images are labelled.


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
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
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
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("split_target"),
        fraction=config["training"]["label_fraction"],
    script:
        "../workflow_scripts/split_target.py"


rule splits:
    input:
        per_target_and_seed("<results>/splits/{target}/seed{seed}.csv"),
