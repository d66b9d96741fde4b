# Source models, and the models that students start from.


rule train_source:
    input:
        lambda wc: f"<results>/data/{model_task(wc.source)}/train_images.npy",
        lambda wc: f"<results>/data/{model_task(wc.source)}/test_images.npy",
        lambda wc: f"<results>/data/{model_task(wc.source)}/images.csv",
        lambda wc: f"<results>/data/{model_task(wc.source)}/labels.csv",
        meta=lambda wc: f"<results>/data/{model_task(wc.source)}/meta.json",
    output:
        model="<results>/sources/{source}/model.safetensors",
        meta="<results>/sources/{source}/meta.json",
    log:
        "<results>/logs/train_source/{source}.log",
    benchmark:
        "<results>/benchmarks/train_source/{source}.tsv"
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
        gpu=GPUS,
    params:
        code=code_of("train_source"),
        architecture=lambda wc: model_architecture(wc.source),
        seed=config["embedded"]["seed"],
        device=config["device"],
        settings=lambda wc: {
            "steps": config["training"]["sources"][
                "steps" if wc.source in SOURCES else "generalist_steps"
            ],
            "batch_size": config["training"]["sources"]["batch_size"],
            "learning_rate": config["training"]["sources"]["learning_rate"],
            "weight_decay": config["training"]["sources"]["weight_decay"],
            "crop_padding": config["training"]["crop_padding"],
        },
    script:
        "../workflow_scripts/train_source.py"


rule sources:
    input:
        [model_file(name) for name in SOURCES],
