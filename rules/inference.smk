# One un-augmented pass of every source over a target's images: a job asks a cohort of sources, what
# each says is then stored on its own. Likewise of fixed views, for students that learn from those.


rule infer_sources:
    input:
        unpack(lambda wc: RUN.cohort_inputs(wc.target, wc.cohort)),
    output:
        temp(directory("<results>/inference/{target}/.cohorts/{cohort}")),
    log:
        "<results>/logs/infer_sources/{target}-{cohort}.log",
    benchmark:
        "<results>/benchmarks/infer_sources/{target}-{cohort}.tsv"
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(lambda wc: RUN.resources.inference_memory_mb(wc.target)),
        runtime=per_attempt(
            lambda wc: RUN.resources.inference_minutes(wc.target, len(sources_asked(wc)))
        ),
        gpu=GPUS,
    params:
        code=lambda wc: code_of(
            "infer_sources", uses=RUN.jobs.inference_modules(*sources_asked(wc))
        ),
        jobs=lambda wc: {
            source: RUN.jobs.inference(wc.target, source).as_params()
            for source in sources_asked(wc)
        },
        files=lambda wc: {source: RUN.own_inputs(source) for source in sources_asked(wc)},
    script:
        "../workflow_scripts/infer_sources.py"


# A job a source, so that one that failed fails alone; no Python, so that hundreds take no time. What
# it is made from is listed here so that a change redoes it, though the cohort's folder is gone.
rule store_inference:
    input:
        unpack(lambda wc: RUN.inference_inputs(wc.target, wc.source)),
        cohort=lambda wc: RUN.paths.asked(wc.target, RUN.inference_cohort(wc.target, wc.source)),
    output:
        "<results>/inference/{target}/{source}.safetensors",
    log:
        "<results>/logs/store_inference/{target}-{source}.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
        in_group=1,
    params:
        code=lambda wc: code_of("infer_sources", uses=RUN.jobs.inference_modules(wc.source)),
        job=lambda wc: RUN.jobs.inference(wc.target, wc.source).as_params(),
    shell:
        """
        answers={input.cohort:q}/{wildcards.source:q}
        exec 2>{log:q}
        if [ ! -e "$answers.safetensors" ]; then
            cat "$answers.failed.txt" >&2 || echo "error: a kill came while" {input.cohort:q} \
                "was being removed. Remove the rest of it and run again" >&2
            exit 1
        fi
        ln -f "$answers.safetensors" {output:q} || cp "$answers.safetensors" {output:q}
        """


rule infer_views:
    input:
        unpack(lambda wc: RUN.cohort_inputs(wc.target, wc.cohort)),
    output:
        temp(directory("<results>/inference/{target}/views{views}/.cohorts/{cohort}")),
    log:
        "<results>/logs/infer_views/{target}-{views}-{cohort}.log",
    benchmark:
        "<results>/benchmarks/infer_views/{target}-{views}-{cohort}.tsv"
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(lambda wc: RUN.resources.views_memory_mb(wc.target, int(wc.views))),
        runtime=per_attempt(
            lambda wc: RUN.resources.views_minutes(
                wc.target, int(wc.views), len(sources_asked(wc))
            )
        ),
        gpu=GPUS,
    params:
        code=lambda wc: code_of("infer_views", uses=RUN.jobs.inference_modules(*sources_asked(wc))),
        jobs=lambda wc: {
            source: RUN.jobs.views(wc.target, source, int(wc.views)).as_params()
            for source in sources_asked(wc)
        },
        files=lambda wc: {source: RUN.own_inputs(source) for source in sources_asked(wc)},
    script:
        "../workflow_scripts/infer_views.py"


use rule store_inference as store_views with:
    input:
        unpack(lambda wc: RUN.inference_inputs(wc.target, wc.source)),
        cohort=lambda wc: RUN.paths.asked_views(
            wc.target, int(wc.views), RUN.inference_cohort(wc.target, wc.source)
        ),
    output:
        "<results>/inference/{target}/views{views}/{source}.safetensors",
    log:
        "<results>/logs/store_views/{target}-{views}-{source}.log",
    params:
        code=lambda wc: code_of("infer_views", uses=RUN.jobs.inference_modules(wc.source)),
        job=lambda wc: RUN.jobs.views(wc.target, wc.source, int(wc.views)).as_params(),


rule inference:
    input:
        [path for target in RUN.targets for path in RUN.inference_of_all(target)],
        RUN.products.view_files,
