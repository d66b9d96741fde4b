# Similarity of every source to a target, measured on the labelled probe.


rule score_similarity:
    input:
        inference=lambda wc: [
            RUN.paths.inference(wc.target, source.name) for source in RUN.admissible(wc.target)
        ],
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
