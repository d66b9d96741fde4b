# Similarity of every source to a target, measured on the labelled probe.


rule score_similarity:
    input:
        inference=lambda wc: [
            f"<results>/inference/{wc.target}/{name}.safetensors" for name in ADMISSIBLE[wc.target]
        ],
        index="<results>/data/{target}/images.csv",
        split="<results>/splits/{target}/seed{seed}.csv",
        labeled="<results>/splits/{target}/seed{seed}_labeled.csv",
    output:
        "<results>/similarity/{target}/seed{seed}.csv",
    log:
        "<results>/logs/score_similarity/{target}-seed{seed}.log",
    benchmark:
        "<results>/benchmarks/score_similarity/{target}-seed{seed}.tsv"
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=growing(
            lambda wc: memory_mb(wc.target)
            + round(0.05 * config["probe"]["size"] * len(ADMISSIBLE[wc.target]))
        ),
        runtime=growing(lambda wc: 10 + len(ADMISSIBLE[wc.target])),
    params:
        code=code_of("score_similarity"),
        seed=lambda wc: REPLICATES[wc.seed].seed,
        sources=lambda wc: ADMISSIBLE[wc.target],
        probe_size=config["probe"]["size"],
        metrics=config["similarity"]["metrics"],
        representations=config["similarity"]["representations"],
    script:
        "../workflow_scripts/score_similarity.py"


rule similarity:
    input:
        per_target_and_seed("<results>/similarity/{target}/seed{seed}.csv"),
