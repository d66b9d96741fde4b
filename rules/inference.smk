# One un-augmented pass of every source over a target's training images.


rule infer_source:
    input:
        images="<results>/data/{target}/train_images.npy",
        index="<results>/data/{target}/images.csv",
        model=model_file("{source}"),
    output:
        "<results>/inference/{target}/{source}.safetensors",
    log:
        "<results>/logs/infer_source/{target}-{source}.log",
    benchmark:
        "<results>/benchmarks/infer_source/{target}-{source}.tsv"
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=growing(lambda wc: memory_mb(wc.target, at_once=64, networks=1)),
        runtime=growing(
            lambda wc: run_minutes(wc.target, task_images(config, wc.target)["train_images"])
        ),
        gpu=GPUS,
    params:
        code=code_of("infer_source"),
        view=lambda wc: view_of(wc.target),
        statistics=lambda wc: parity_statistics(wc.target),
        activation=lambda wc: output_activation(wc.source),
        device=config["device"],
    script:
        "../workflow_scripts/infer_source.py"


rule inference:
    input:
        [
            f"<results>/inference/{target}/{name}.safetensors"
            for target in TARGETS
            for name in ADMISSIBLE[target]
        ],
