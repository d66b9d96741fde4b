# Students. A training job makes a cohort; each student is then evaluated and stored on its own.


rule train_students:
    input:
        unpack(lambda wc: RUN.inputs(members(wc))),
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


# The inputs beyond the first three are not read: what a student is made from is listed here so that
# a change redoes it, though the folder that it was trained in is gone.
rule evaluate_student:
    input:
        unpack(lambda wc: RUN.inputs([student(wc)])),
        cohort=lambda wc: RUN.paths.cohort(wc.target, wc.replicate, student(wc).cohort),
        labels="<results>/data/{target}/labels.csv",
    output:
        metrics="<results>/students/{target}/{recipe}/seed{replicate}/metrics.json",
        history="<results>/students/{target}/{recipe}/seed{replicate}/history.csv",
        predictions="<results>/students/{target}/{recipe}/seed{replicate}/predictions.csv",
        model="<results>/students/{target}/{recipe}/seed{replicate}/model.safetensors",
    log:
        "<results>/logs/evaluate_student/{target}-seed{replicate}-{recipe}.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
        in_group=1,
    params:
        code=lambda wc: code_of(
            "train_students", "evaluate_student", uses=RUN.jobs.objective_modules(student(wc))
        ),
        job=lambda wc: RUN.jobs.evaluation(student(wc)).as_params(),
        settings=lambda wc: RUN.jobs.training_facts(student(wc)),
    script:
        "../workflow_scripts/evaluate_student.py"


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
        RUN.products.files_of_students(*STUDENT_PRODUCTS),
