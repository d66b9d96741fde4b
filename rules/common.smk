# What the rules share: the checked configuration, the grid, and functions from wildcards to files.
import shutil
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(workflow.basedir) / "workflow_scripts"))

from snakemake.exceptions import WorkflowError

from distillweighted import grid
from distillweighted.config import ConfigError, read_config
from distillweighted.config_checks import task_images
from distillweighted.embedded import TASKS
from distillweighted.fingerprint import fingerprint_code

SCHEMA = yaml.safe_load((Path(workflow.basedir) / "rules/schemas/config.schema.yaml").read_text())
try:
    # In place, so that the report's captions see the defaults too.
    config.update(read_config(config, SCHEMA))
except ConfigError as error:
    raise WorkflowError(str(error)) from None

RESULTS = f"results/{config['name']}"
TARGETS = config["targets"]
SEEDS = config["seeds"]
SOURCES = {source.name: source for source in grid.list_sources(config)}
ADMISSIBLE = {t: [s.name for s in grid.admissible_sources(config, t)] for t in TARGETS}
WEIGHT_RECIPES = grid.weight_recipes(config)
ROWS = {
    (row["target"], row["recipe"], str(row["seed"])): row
    for row in grid.student_grid(config).to_dict("records")
}
COHORTS = {}
for row in ROWS.values():
    COHORTS.setdefault((row["target"], str(row["seed"]), row["cohort"]), []).append(row)

INITIALIZATION = config["student"]["initialization"]

# One GPU a job that trains or infers, where there is one to give.
GPUS = int(
    config["device"] == "cuda"
    or (config["device"] == "auto" and shutil.which("nvidia-smi") is not None)
)

OBJECTIVES = {
    "in_transfer": "transfer",
    "in_fixmatch": "fixmatch",
    "finetune_selected_source": "transfer",
}


def code_of(*rules):
    """Fingerprint of what the scripts of these rules run."""
    scripts = Path(workflow.basedir) / "workflow_scripts"
    return fingerprint_code(*(scripts / f"{rule}.py" for rule in rules))


def model_file(name):
    return f"<results>/sources/{name}/model.safetensors"


def initial_model(row):
    """Name of the model that a student starts from; None for a random start."""
    if INITIALIZATION == "random":
        return None
    return f"{row['student']}_{INITIALIZATION}"


def model_task(name):
    """The task that a source model, or an initialisation, is trained on."""
    if name in SOURCES:
        return SOURCES[name].task
    return INITIALIZATION


def model_architecture(name):
    if name in SOURCES:
        return SOURCES[name].architecture
    return name.removesuffix(f"_{INITIALIZATION}")


def learning_rate(row):
    """A source architecture is fine-tuned at the rate that it was trained with."""
    training = config["training"]
    if row["student"] == config["student"]["architecture"]:
        return training["learning_rate"]
    return training["sources"]["learning_rate"]


def used_sources(row):
    """Sources whose outputs a student is distilled from."""
    if row["method"] == "distill_single":
        return [row["source"]]
    if row["method"] in grid.WEIGHTED_METHODS:
        return ADMISSIBLE[row["target"]]
    return []


def used_models(row):
    """Models that a student may start from."""
    if row["method"] == "finetune_selected_source":
        names = ADMISSIBLE[row["target"]]
        return [name for name in names if SOURCES[name].architecture == row["student"]]
    initial = initial_model(row)
    return [] if initial is None else [initial]


def weights_file(row):
    if row["recipe"] not in WEIGHT_RECIPES:
        return None
    return f"{RESULTS}/weights/{row['target']}/seed{row['seed']}/{row['recipe']}.csv"


def possible_weights(target):
    """Recipes with weights for a target: each needs an admissible source."""
    architectures = {SOURCES[name].architecture for name in ADMISSIBLE[target]}
    return [
        recipe
        for recipe, what in WEIGHT_RECIPES.items()
        if what["architecture"] is None or what["architecture"] in architectures
    ]


def union(lists):
    return sorted({item for items in lists for item in items})


def student_inputs(rows):
    """Named inputs that determine the results of students of one target and seed."""
    target, seed = rows[0]["target"], rows[0]["seed"]
    return {
        "train_images": f"<results>/data/{target}/train_images.npy",
        "test_images": f"<results>/data/{target}/test_images.npy",
        "index": f"<results>/data/{target}/images.csv",
        "split": f"<results>/splits/{target}/seed{seed}.csv",
        "labeled": f"<results>/splits/{target}/seed{seed}_labeled.csv",
        "inference": [
            f"<results>/inference/{target}/{name}.safetensors"
            for name in union(used_sources(row) for row in rows)
        ],
        "models": [model_file(name) for name in union(used_models(row) for row in rows)],
        "weights": [weights_file(row) for row in rows if weights_file(row)],
    }


def cohort_rows(wildcards):
    return COHORTS[wildcards.target, wildcards.seed, wildcards.cohort]


def student_row(wildcards):
    return ROWS[wildcards.target, wildcards.recipe, wildcards.seed]


def members(wildcards):
    """What a training job is told of each of its students."""
    return [
        {
            "recipe": row["recipe"],
            "method": row["method"],
            "objective": OBJECTIVES.get(row["method"], "distill"),
            "architecture": row["student"],
            "learning_rate": learning_rate(row),
            "source": row["source"],
            "weights": weights_file(row),
            "initial": initial_model(row),
            "folder": f"{RESULTS}/students/{row['target']}/{row['recipe']}/seed{row['seed']}",
        }
        for row in cohort_rows(wildcards)
    ]


def student_facts(wildcards):
    """A student's row of the grid, as its metrics.json has it."""
    row = student_row(wildcards)
    p = None if row["p"] != row["p"] else grid.format_p(row["p"])
    names = ("target", "recipe", "method", "source", "seed", "student")
    facts = {name: row[name] for name in names}
    return {**facts, "p": p, "benchmark_seed": config["embedded"]["seed"]}


def training_settings():
    training, baselines = config["training"], config["baselines"]
    names = ("steps", "labeled_batch", "unlabeled_batch", "temperature")
    names += ("learning_rate", "weight_decay")
    return {
        **{name: training[name] for name in names},
        "lam": training["lambda"],
        "fixmatch_threshold": baselines["fixmatch_threshold"],
        "fixmatch_weight": baselines["fixmatch_weight"],
    }


def student_files(name):
    return [
        f"<results>/students/{target}/{recipe}/seed{seed}/{name}" for target, recipe, seed in ROWS
    ]


def all_student_files():
    names = ("metrics.json", "history.csv", "predictions.csv", "model.safetensors")
    return [path for name in names for path in student_files(name)]


def per_target_and_seed(pattern):
    """A path with {target} and {seed} for every target and seed."""
    return expand(pattern, target=TARGETS, seed=SEEDS)


# What can be made of the grid: correlations need singles from three sources or more.
METHODS, BASELINES = config["methods"], config["baselines"]
WEIGHTING = config["similarity"]["weighting"]
HAS_CORRELATIONS = METHODS["distill_single"] and min(map(len, ADMISSIBLE.values())) >= 3
TABLES = ["table1_accuracy", "comparison_with_paper"]
FIGURES = ["fig1_weightings", "fig5_accuracy_vs_compute"]
if HAS_CORRELATIONS:
    TABLES += ["table2_correlation", "table3_relative_accuracy"]
    FIGURES += ["fig3_single_source", "fig4_similarity_vs_accuracy"]
if METHODS["distill_weighted"] and BASELINES["in_transfer"]:
    FIGURES += ["fig6_effect_of_p"]


def table_files(name):
    """A table as CSV, Markdown and LaTeX."""
    return [f"<results>/tables/{name}.{ending}" for ending in ("csv", "md", "tex")]


def sources_by_task():
    return [
        {"source": s.name, "architecture": s.architecture, "task": s.task} for s in SOURCES.values()
    ]


def caption_line():
    """What a table was made with, in one line."""
    training, embedded = config["training"], config["embedded"]
    return (
        f"Run {config['name']}: seeds {', '.join(map(str, SEEDS))}; benchmark seed "
        f"{embedded['seed']}; {len(SOURCES)} sources; {training['label_fraction']:.0%} of "
        f"{embedded['target_images']} training images labelled; lambda = {training['lambda']:g}, "
        f"p = {METHODS['default_p']:g}; {training['steps']} steps."
    )
