# Similarity of every source to a target, measured on the labelled probe.


rule score_similarity:
    input:
        inference=lambda wc: RUN.inference_of_all(wc.target),
        index="<results>/data/{target}/images.csv",
        split="<results>/splits/{target}/seed{replicate}.csv",
        labeled="<results>/splits/{target}/seed{replicate}_labeled.csv",
    output:
        "<results>/similarity/{target}/seed{replicate}.csv",
    log:
        "<results>/logs/score_similarity/{target}-seed{replicate}.log",
    benchmark:
        "<results>/benchmarks/score_similarity/{target}-seed{replicate}.tsv"
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(lambda wc: RUN.resources.scoring_memory_mb(wc.target)),
        runtime=per_attempt(lambda wc: RUN.resources.scoring_minutes(wc.target)),
    params:
        code=code_of("score_similarity", **RUN.jobs.metric_modules()),
        job=lambda wc: RUN.jobs.scores(wc.target, wc.replicate).as_params(),
    script:
        "../workflow_scripts/score_similarity.py"


rule similarity:
    input:
        RUN.every(RUN.paths.similarity),


# A linear probe on the nearest source's features, for who wants to compare with it.
rule probe_source:
    input:
        inference=lambda wc: RUN.inference_of_all(wc.target),
        index="<results>/data/{target}/images.csv",
        meta="<results>/data/{target}/meta.json",
        split="<results>/splits/{target}/seed{replicate}.csv",
        labeled="<results>/splits/{target}/seed{replicate}_labeled.csv",
        weights=lambda wc: RUN.paths.nearest(wc.target, wc.replicate),
    output:
        "<results>/probes/{target}/seed{replicate}.safetensors",
    log:
        "<results>/logs/probe_source/{target}-seed{replicate}.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(lambda wc: RUN.resources.scoring_memory_mb(wc.target)),
        runtime=per_attempt(lambda wc: RUN.resources.scoring_minutes(wc.target)),
    params:
        code=code_of("probe_source"),
        job=lambda wc: RUN.jobs.probe(wc.target, wc.replicate).as_params(),
    script:
        "../workflow_scripts/probe_source.py"


rule rank_sources:
    input:
        inference=lambda wc: [
            RUN.paths.inference(wc.target, name) for name in RUN.ranked_models(wc.target)
        ],
        facts=lambda wc: [RUN.paths.model_facts(name) for name in RUN.ranked_models(wc.target)],
        index="<results>/data/{target}/images.csv",
        split=lambda wc: RUN.paths.split(wc.target, RUN.first_replicate),
        labeled=lambda wc: RUN.paths.labeled(wc.target, RUN.first_replicate),
    output:
        table="<results>/ranking/{target}.csv",
        text="<results>/ranking/{target}.md",
        forecast="<results>/ranking/{target}.json",
        png="<results>/ranking/{target}.png",
        pdf="<results>/ranking/{target}.pdf",
    log:
        "<results>/logs/rank_sources/{target}.log",
    benchmark:
        "<results>/benchmarks/rank_sources/{target}.tsv"
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(lambda wc: RUN.resources.scoring_memory_mb(wc.target)),
        runtime=per_attempt(lambda wc: RUN.resources.ranking_minutes(wc.target)),
    params:
        code=code_of("rank_sources", **RUN.jobs.metric_modules()),
        job=lambda wc: RUN.jobs.ranking(wc.target).as_params(),
    script:
        "../workflow_scripts/rank_sources.py"


# Which sources suit a target, before any student is trained.
rule ranking:
    input:
        [RUN.paths.ranking(target, "md") for target in RUN.targets],
