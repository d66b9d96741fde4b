# Students. A training job makes a cohort; each student is then evaluated and stored on its own.


rule train_students:
    input:
        unpack(lambda wc: student_inputs(cohort_rows(wc))),
    output:
        temp(directory("<results>/students/{target}/.cohorts/seed{seed}/{cohort}")),
    log:
        "<results>/logs/train_students/{target}-seed{seed}-{cohort}.log",
    benchmark:
        "<results>/benchmarks/train_students/{target}-seed{seed}-{cohort}.tsv"
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=growing(
            lambda wc: memory_mb(wc.target, at_once=cohort_batch(), networks=len(cohort_rows(wc)))
        ),
        runtime=growing(cohort_minutes),
        gpu=GPUS,
    params:
        code=code_of("train_students"),
        seed=lambda wc: REPLICATES[wc.seed].seed,
        members=members,
        sources=lambda wc: union(used_sources(row) for row in cohort_rows(wc)),
        models=lambda wc: union(used_models(row) for row in cohort_rows(wc)),
        image_size=lambda wc: image_size(wc.target),
        settings=training_settings(),
        view=lambda wc: view_of(wc.target),
        statistics=lambda wc: parity_statistics(wc.target),
        distill_labeled=config["training"]["distill_labeled"],
        device=config["device"],
        checkpoint=lambda wc: (
            f"{RESULTS}/checkpoints/train_students/{wc.target}-seed{wc.seed}-{wc.cohort}.pt"
        ),
    script:
        "../workflow_scripts/train_students.py"


# The inputs beyond the first three are not read: what a student is made from is listed here so that
# a change redoes it, though the folder that it was trained in is gone.
rule evaluate_student:
    input:
        unpack(lambda wc: student_inputs([student_row(wc)])),
        cohort=lambda wc: (
            f"<results>/students/{wc.target}/.cohorts/seed{wc.seed}/{student_row(wc)['cohort']}"
        ),
        labels="<results>/data/{target}/labels.csv",
    output:
        metrics="<results>/students/{target}/{recipe}/seed{seed}/metrics.json",
        history="<results>/students/{target}/{recipe}/seed{seed}/history.csv",
        predictions="<results>/students/{target}/{recipe}/seed{seed}/predictions.csv",
        model="<results>/students/{target}/{recipe}/seed{seed}/model.safetensors",
    log:
        "<results>/logs/evaluate_student/{target}-seed{seed}-{recipe}.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
        in_group=1,
    params:
        code=code_of("train_students", "evaluate_student"),
        student=student_facts,
        settings=lambda wc: [
            training_settings(),
            learning_rate(student_row(wc)),
            view_of(wc.target),
            parity_statistics(wc.target),
            config["training"]["distill_labeled"],
        ],
    script:
        "../workflow_scripts/evaluate_student.py"


rule students:
    input:
        all_student_files(),
