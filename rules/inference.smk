# One un-augmented pass of every source over a target's images.


rule infer_source:
    input:
        unpack(lambda wc: RUN.inference_inputs(wc.target, wc.source)),
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
        mem_mb=per_attempt(lambda wc: RUN.resources.inference_memory_mb(wc.target)),
        runtime=per_attempt(lambda wc: RUN.resources.inference_minutes(wc.target)),
        gpu=GPUS,
    params:
        code=lambda wc: code_of("infer_source", uses=RUN.jobs.inference_modules(wc.source)),
        job=lambda wc: RUN.jobs.inference(wc.target, wc.source).as_params(),
    script:
        "../workflow_scripts/infer_source.py"


rule inference:
    input:
        [
            RUN.paths.inference(target, source.name)
            for target in RUN.targets
            for source in RUN.admissible(target)
        ],
