# Source models, and the models that students start from: trained here, or loaded from checkpoints.


rule train_source:
    input:
        unpack(lambda wc: RUN.source_inputs(wc.source)),
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
        mem_mb=per_attempt(lambda wc: RUN.resources.source_memory_mb(wc.source)),
        runtime=per_attempt(lambda wc: RUN.resources.source_minutes(wc.source)),
        gpu=GPUS,
    params:
        code=code_of("train_source"),
        job=lambda wc: RUN.jobs.source(wc.source).as_params(),
    script:
        "../workflow_scripts/train_source.py"


rule load_source:
    input:
        lambda wc: existing(RUN.checkpoint_path(wc.source)),
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
        mem_mb=per_attempt(3000),
        runtime=per_attempt(30),
    params:
        code=lambda wc: code_of("load_source", uses=[RUN.origin(wc.source).module]),
        job=lambda wc: RUN.jobs.load(wc.source).as_params(),
    script:
        "../workflow_scripts/load_source.py"


# A model that is no network of ours stays in the user's file, which inference reads.
rule describe_source:
    input:
        lambda wc: existing(RUN.checkpoint_path(wc.source)),
    output:
        meta="<results>/sources/{source}/meta.json",
    log:
        "<results>/logs/describe_source/{source}.log",
    wildcard_constraints:
        source=alternatives(OUTSIDE),
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(3000),
        runtime=per_attempt(30),
    params:
        code=lambda wc: code_of("describe_source", uses=[RUN.origin(wc.source).module]),
        job=lambda wc: RUN.jobs.load(wc.source).as_params(),
    script:
        "../workflow_scripts/describe_source.py"


rule sources:
    input:
        [RUN.paths.model(name) for name in RUN.sources if name not in OUTSIDE],
        [RUN.paths.model_facts(name) for name in RUN.sources if name in OUTSIDE],
