# Students. A job trains a cohort, another evaluates it; each student is then stored on its own.


# When what all students of a target share was last made. What it holds differs every time: a small
# file that holds the same as before counts as unchanged.
rule stamp_task:
    input:
        unpack(lambda wc: RUN.made_from.of_all(wc.target, wc.replicate)),
        labels="<results>/data/{target}/labels.csv",
    output:
        "<results>/students/{target}/.stamps/seed{replicate}",
    log:
        "<results>/logs/stamp_task/{target}-seed{replicate}.log",
    localrule: True
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=100,
        runtime=1,
    shell:
        "(date && ls -l {input:q}) >{output:q} 2>{log:q}"


use rule stamp_task as stamp_sources with:
    input:
        lambda wc: RUN.inference_of_all(wc.target),
    output:
        "<results>/students/{target}/.stamps/sources",
    log:
        "<results>/logs/stamp_sources/{target}.log",


rule train_students:
    input:
        unpack(lambda wc: RUN.made_from.files(members(wc))),
    output:
        temp(directory("<results>/students/{target}/.cohorts/seed{replicate}/{cohort}")),
    log:
        "<results>/logs/train_students/{target}-seed{replicate}-{cohort}.log",
    benchmark:
        "<results>/benchmarks/train_students/{target}-seed{replicate}-{cohort}.tsv"
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(lambda wc: RUN.resources.cohort_memory_mb(members(wc))),
        runtime=per_attempt(lambda wc: RUN.resources.cohort_minutes(members(wc))),
        gpu=GPUS,
    params:
        code=code_of("train_students"),
        job=lambda wc: RUN.cohort(wc.target, wc.replicate, wc.cohort).as_params(),
    script:
        "../workflow_scripts/train_students.py"


# Its folder stays where a student failed, while that of the training is gone: what that was made from
# is listed here too, so that a change trains again.
rule evaluate_students:
    input:
        unpack(lambda wc: RUN.made_from.stamped(members(wc))),
        cohort="<results>/students/{target}/.cohorts/seed{replicate}/{cohort}",
        labels="<results>/data/{target}/labels.csv",
        split=lambda wc: RUN.paths.split(wc.target, wc.replicate),
    output:
        temp(directory("<results>/students/{target}/.cohorts/evaluated/seed{replicate}/{cohort}")),
    log:
        "<results>/logs/evaluate_students/{target}-seed{replicate}-{cohort}.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
        in_group=1,
    params:
        code=code_of("train_students", "evaluate_students"),
        training=lambda wc: RUN.cohort(wc.target, wc.replicate, wc.cohort).as_params(),
        jobs=lambda wc: [RUN.jobs.evaluation(row).as_params() for row in members(wc)],
    script:
        "../workflow_scripts/evaluate_students.py"


# A job a student, so that one that failed fails alone; no Python, so that thousands take no time. The
# inputs beyond the cohort are not read: what a student is made from is listed here so that a change
# redoes it, though the folders that it was trained and evaluated in are gone. Its metrics come last:
# a folder that has them is a finished student. It asks for no more memory at another attempt, which
# links would not need, and a plan of thousands would take time for.
rule store_student:
    input:
        unpack(lambda wc: RUN.made_from.stamped([student(wc)])),
        cohort=lambda wc: RUN.paths.evaluated(wc.target, wc.replicate, student(wc).cohort),
    output:
        metrics="<results>/students/{target}/{recipe}/seed{replicate}/metrics.json",
        history="<results>/students/{target}/{recipe}/seed{replicate}/history.csv",
        predictions="<results>/students/{target}/{recipe}/seed{replicate}/predictions.csv",
        model="<results>/students/{target}/{recipe}/seed{replicate}/model.safetensors",
    log:
        "<results>/logs/store_student/{target}-seed{replicate}-{recipe}.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        in_group=1,
    params:
        code=lambda wc: code_of(
            "train_students", "evaluate_students", uses=RUN.jobs.objective_modules(student(wc))
        ),
        job=lambda wc: RUN.jobs.evaluation(student(wc)).as_params(),
        settings=lambda wc: RUN.jobs.training_facts(student(wc)),
    shell:
        """
        folder={input.cohort:q}/{wildcards.recipe:q}
        exec 2>{log:q}
        if [ ! -e "$folder/metrics.json" ]; then
            cat "$folder/failed.txt" >&2 || echo "error: a kill came while" {input.cohort:q} \
                "was being removed. Remove the rest of it and run again" >&2
            exit 1
        fi
        put() (ln -f "$1" "$2" || cp "$1" "$2")
        put "$folder/model.safetensors" {output.model:q}
        put "$folder/history.csv" {output.history:q}
        put "$folder/predictions.csv" {output.predictions:q}
        put "$folder/metrics.json" {output.metrics:q}
        """


rule choose_settings:
    input:
        lambda wc: [
            candidate.metrics for candidate in RUN.jobs.choice(wc.target, wc.replicate).candidates
        ],
    output:
        "<results>/choices/{target}/seed{replicate}.json",
    log:
        "<results>/logs/choose_settings/{target}-seed{replicate}.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("choose_settings"),
        job=lambda wc: RUN.jobs.choice(wc.target, wc.replicate).as_params(),
    script:
        "../workflow_scripts/choose_settings.py"


rule students:
    input:
        lambda wc: files_of_students(),
