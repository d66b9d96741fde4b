# The student that is handed over for each target: programs, a comparison, a card and a page.


# It measures how long an image takes: eight threads, or all where there are fewer, keep other jobs of
# a small machine away meanwhile.
rule export_student:
    input:
        train_images="<results>/data/{target}/train_images.npy",
        test_images="<results>/data/{target}/test_images.npy",
        index="<results>/data/{target}/images.csv",
        meta="<results>/data/{target}/meta.json",
        split=lambda wc: RUN.paths.split(wc.target, RUN.deployment.replicate),
        models=lambda wc: RUN.deployment.candidate_files(wc.target, "model.safetensors"),
        choice=lambda wc: RUN.deployment.choice_files(wc.target),
    output:
        model="<results>/student/{target}/model.safetensors",
        onnx="<results>/student/{target}/model.onnx",
        pt2="<results>/student/{target}/model.pt2",
        script="<results>/student/{target}/predict.py",
        predictions="<results>/student/{target}/predictions.csv",
        probabilities="<results>/student/{target}/probabilities.safetensors",
        facts="<results>/student/{target}/export.json",
    log:
        "<results>/logs/export_student/{target}.log",
    benchmark:
        "<results>/benchmarks/export_student/{target}.tsv"
    conda:
        "../envs/distillweighted.yaml"
    threads: 8
    resources:
        mem_mb=per_attempt(lambda wc: RUN.resources.memory_mb(wc.target, at_once=64, networks=3)),
        runtime=per_attempt(lambda wc: RUN.resources.inference_minutes(wc.target)),
        gpu=GPUS,
    params:
        code=code_of("export_student"),
        job=lambda wc: RUN.deployment.export(wc.target).as_params(),
    script:
        "../workflow_scripts/export_student.py"


rule compare_methods:
    input:
        index="<results>/data/{target}/images.csv",
        labels="<results>/data/{target}/labels.csv",
        predictions=lambda wc: RUN.deployment.compared_files(wc.target, "predictions.csv"),
        metrics=lambda wc: RUN.deployment.compared_files(wc.target, "metrics.json"),
        nearest=lambda wc: RUN.deployment.nearest_files(wc.target),
        probes=lambda wc: RUN.deployment.probe_files(wc.target),
        sources=lambda wc: RUN.deployment.source_facts(wc.target),
        forecast="<results>/ranking/{target}.json",
        export="<results>/student/{target}/export.json",
    output:
        csv="<results>/student/{target}/comparison.csv",
        md="<results>/student/{target}/comparison.md",
        verdict="<results>/student/{target}/verdict.json",
        png="<results>/student/{target}/figures/comparison.png",
        pdf="<results>/student/{target}/figures/comparison.pdf",
    log:
        "<results>/logs/compare_methods/{target}.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("compare_methods"),
        job=lambda wc: RUN.deployment.comparison(wc.target).as_params(),
        students=lambda wc: RUN.deployment.compared_students(wc.target),
    script:
        "../workflow_scripts/compare_methods.py"


rule describe_student:
    input:
        train_images="<results>/data/{target}/train_images.npy",
        test_images="<results>/data/{target}/test_images.npy",
        index="<results>/data/{target}/images.csv",
        labels="<results>/data/{target}/labels.csv",
        meta="<results>/data/{target}/meta.json",
        export="<results>/student/{target}/export.json",
        probabilities="<results>/student/{target}/probabilities.safetensors",
        comparison="<results>/student/{target}/comparison.csv",
        verdict="<results>/student/{target}/verdict.json",
        figure="<results>/student/{target}/figures/comparison.png",
        metrics=lambda wc: RUN.deployment.candidate_files(wc.target, "metrics.json"),
        weights=lambda wc: [*RUN.deployment.candidate_weights(wc.target).values()],
        sources=lambda wc: RUN.deployment.source_facts(wc.target),
        ranking=lambda wc: RUN.deployment.ranking_files(wc.target),
    output:
        card="<results>/student/{target}/model_card.md",
        page=report(
            "<results>/student/{target}/report.html",
            caption="captions/student.rst",
            category="Students",
            labels={"item": "{target}", "shows": "the student, its comparison, its images"},
        ),
        confusion="<results>/student/{target}/figures/confusion.png",
        reliability="<results>/student/{target}/figures/reliability.png",
    log:
        "<results>/logs/describe_student/{target}.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(lambda wc: RUN.resources.memory_mb(wc.target)),
        runtime=per_attempt(10),
    params:
        code=code_of("describe_student"),
        job=lambda wc: RUN.deployment.description(wc.target, COMMAND).as_params(),
        candidates=lambda wc: RUN.deployment.candidates,
        weights=lambda wc: RUN.deployment.candidate_weights(wc.target),
    script:
        "../workflow_scripts/describe_student.py"


rule student:
    input:
        RUN.deployment.files(*HANDED_OVER),
