# Source models, and the models that students start from: trained here, or loaded from checkpoints.

TRAINED = [name for name in all_models() if is_trained(name)]
LOADED = [name for name in all_models() if not is_trained(name)]


rule train_source:
    input:
        lambda wc: f"<results>/data/{model_task(wc.source)}/train_images.npy",
        lambda wc: f"<results>/data/{model_task(wc.source)}/test_images.npy",
        lambda wc: f"<results>/data/{model_task(wc.source)}/images.csv",
        lambda wc: f"<results>/data/{model_task(wc.source)}/labels.csv",
        meta=lambda wc: f"<results>/data/{model_task(wc.source)}/meta.json",
        initial=lambda wc: start_of_source(wc.source),
    output:
        model="<results>/sources/{source}/model.safetensors",
        meta="<results>/sources/{source}/meta.json",
    log:
        "<results>/logs/train_source/{source}.log",
    benchmark:
        "<results>/benchmarks/train_source/{source}.tsv"
    wildcard_constraints:
        source=alternatives(TRAINED),
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=growing(
            lambda wc: memory_mb(
                model_task(wc.source), at_once=source_settings(wc.source)["batch_size"], networks=1
            )
        ),
        runtime=growing(source_minutes),
        gpu=GPUS,
    params:
        code=code_of("train_source"),
        architecture=lambda wc: model_architecture(wc.source),
        seed=config["embedded"]["seed"],
        device=config["device"],
        settings=lambda wc: source_settings(wc.source),
        view=lambda wc: view_of(model_task(wc.source)),
        image_size=lambda wc: image_size(model_task(wc.source)),
        checkpoint=lambda wc: f"{RESULTS}/checkpoints/train_source/{wc.source}.pt",
    script:
        "../workflow_scripts/train_source.py"


rule load_source:
    input:
        lambda wc: if_there(checkpoint_of(wc.source)),
    output:
        model="<results>/sources/{source}/model.safetensors",
        meta="<results>/sources/{source}/meta.json",
    log:
        "<results>/logs/load_source/{source}.log",
    benchmark:
        "<results>/benchmarks/load_source/{source}.tsv"
    wildcard_constraints:
        source=alternatives(LOADED),
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        code=code_of("load_source"),
        checkpoint=lambda wc: str(checkpoint_of(wc.source)),
        # Its time as an input would not tell of another file that is older.
        file=lambda wc: files_state([checkpoint_of(wc.source)]),
        architecture=lambda wc: model_architecture(wc.source),
        task=lambda wc: model_task(wc.source),
        num_classes=lambda wc: outputs_of(wc.source),
        image_size=config["images"]["size"],
    script:
        "../workflow_scripts/load_source.py"


rule sources:
    input:
        [model_file(name) for name in SOURCES],
