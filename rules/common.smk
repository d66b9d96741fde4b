# What the rules share: the checked configuration, the grid, and functions from wildcards to files.
import inspect
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import yaml

sys.path.insert(0, str(CHECKOUT / "workflow_scripts"))

from snakemake.exceptions import WorkflowError

from distillweighted.analysis import paper_numbers
from distillweighted.sources.published_statistics import training_statistics
from distillweighted.tasks.registry import TASKS, task_images
from distillweighted.workflow import grid
from distillweighted.workflow.config import ConfigError, read_config
from distillweighted.workflow.config_checks import needed_data_sets
from distillweighted.workflow.config_file import merge, read_config_file
from distillweighted.workflow.fingerprint import fingerprint_code
from distillweighted.workflow.overrides import read_overrides
from distillweighted.workflow.required_files import checkpoint_path, missing_text
from distillweighted.workflow.states import data_set_state, files_state

SCHEMA = yaml.safe_load((CHECKOUT / "rules/schemas/config.schema.yaml").read_text())

# What --config says, without types, is read once more by the schema. It is of the outermost
# configuration, of which a module's may be a part, or no part at all.
ALL_CONFIG = workflow.modifier_stack[0].globals["config"]
PARTS = [None] if config is ALL_CONFIG else [k for k, v in ALL_CONFIG.items() if v is config]
try:
    if not IS_MODULE:
        for path in workflow.configfiles:
            read_config_file(Path(path))
    elif not config:
        config.update(read_config_file(CHECKOUT / "config.yaml"))
    raw = config
    for part in PARTS:
        raw = merge(raw, read_overrides(workflow.config_settings.config_args, SCHEMA, part))
    # In place, so that the report's captions see the defaults too.
    config.update(read_config(raw, SCHEMA))
except ConfigError as error:
    raise WorkflowError(str(error)) from None


def checkout_file(path):
    """A file of this checkout, from the working directory where it lies below that."""
    file = CHECKOUT / path
    return os.path.relpath(file) if file.is_relative_to(Path.cwd()) else str(file)


RESULTS = f"results/{config['name']}"
TARGETS = config["targets"]
SEEDS = config["seeds"]
REPLICATES = {replicate.name: replicate for replicate in grid.list_replicates(config)}
SOURCES = {source.name: source for source in grid.list_sources(config)}
ADMISSIBLE = {t: [s.name for s in grid.admissible_sources(config, t)] for t in TARGETS}
WEIGHT_RECIPES = grid.weight_recipes(config)
ROWS = {
    (row["target"], row["recipe"], row["replicate"]): row
    for row in grid.student_grid(config).to_dict("records")
}
COHORTS = {}
for row in ROWS.values():
    COHORTS.setdefault((row["target"], row["replicate"], row["cohort"]), []).append(row)

INITIALIZATION = config["student"]["initialization"]
DATA_ROOT = Path(config["data_root"]) if config["data_root"] else None
MODELS_ROOT = Path(config["models_root"]) if config["models_root"] else None
DATA_SETS = [name for name, task in TASKS.items() if task.data_set is not None]

# One GPU a job that trains or infers, where there is one to give. What a cluster's job asked for was
# said when it was submitted: with `auto`, the node that it runs on has no say.
GPUS = int(
    config["device"] == "cuda"
    or (
        config["device"] == "auto"
        and not workflow.remote_exec
        and shutil.which("nvidia-smi") is not None
    )
)

OBJECTIVES = {
    "in_transfer": "transfer",
    "in_fixmatch": "fixmatch",
    "finetune_selected_source": "transfer",
}


def code_of(*rules, data_set=None):
    """Fingerprint of what the scripts of these rules run; of all readers, that of one data set."""
    folder = CHECKOUT / "workflow_scripts"
    scripts = [folder / f"{rule}.py" for rule in rules]
    if data_set is None:
        return fingerprint_code(*scripts)
    reader = inspect.getfile(TASKS[data_set].data_set.read)
    registry = folder / "distillweighted/tasks/datasets/registry.py"
    return fingerprint_code(*scripts, Path(reader), without=[registry])


def model_file(name):
    return f"<results>/sources/{name}/model.safetensors"


def initial_model(row):
    """Name of the model that a student starts from; None where it has none or data choose it."""
    if INITIALIZATION in ("random", "nearest_source"):
        return None
    return f"{row['student']}_{INITIALIZATION}"


def starts_from_source(row):
    """Whether a student starts from the most similar source of its architecture."""
    return row["method"] == "finetune_selected_source" or INITIALIZATION == "nearest_source"


def weights_of(row, recipe):
    """The weights of a recipe for the target and replicate of a student."""
    return f"{RESULTS}/weights/{row['target']}/seed{row['replicate']}/{recipe}.csv"


def initial_weights(row):
    """Weights that say which source a student starts from; None where it does not."""
    if not starts_from_source(row):
        return None
    return weights_of(row, f"finetune_selected_source-{row['student']}")


def model_task(name):
    """The task that a source model, or an initialisation, is trained on."""
    if name in SOURCES:
        return SOURCES[name].task
    return "imagenet" if name.endswith("_imagenet") else INITIALIZATION


def model_architecture(name):
    if name in SOURCES:
        return SOURCES[name].architecture
    return name.removesuffix(f"_{model_task(name)}")


def is_trained(name):
    """Whether the workflow trains a model; it loads the others from checkpoints."""
    if name in SOURCES:
        return SOURCES[name].origin == "trained"
    return not name.endswith("_imagenet")


def all_models():
    """Every source, and every model that a student or a source starts from."""
    names = {*SOURCES, *filter(None, map(initial_model, ROWS.values()))}
    if config["training"]["sources"]["initialization"] == "imagenet":
        names |= {f"{s.architecture}_imagenet" for s in SOURCES.values() if s.origin == "trained"}
    return sorted(names)


def checkpoint_of(name):
    """The checkpoint of a model that the workflow loads."""
    return MODELS_ROOT / checkpoint_path(model_architecture(name), model_task(name))


def if_there(path):
    """A file as an input where it is there; what is missing is told all at once, at the start."""
    return [str(path)] if path is not None and path.exists() else []


def check_files(jobs):
    """Stop, before any work, where files are missing that a person or `fetch` has to bring."""
    wanted = {"prepare_data_set": [], "load_source": []}
    for job in jobs:
        if job.rule.name in wanted:
            wanted[job.rule.name] += job.wildcards
    missing = missing_text(
        sorted(wanted["prepare_data_set"]),
        [(model_architecture(name), model_task(name)) for name in sorted(wanted["load_source"])],
        data_root=DATA_ROOT,
        models_root=MODELS_ROOT,
    )
    if missing:
        raise WorkflowError(
            f"{missing}\nWhat can be downloaded automatically: snakemake --cores all fetch, with "
            "the same --configfile. docs/data.md says how to get the rest."
        )


def look_once_for_ready_jobs():
    """Lift Snakemake's limit of 100 jobs a second, where jobs run on this machine.

    Each job that ends makes version 9.27 look at all ready jobs once more a second, for the rest of
    the run, to see whether the limit lets more of them start: half of a core after some hundred jobs.
    """
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


def check_results():
    """Stop, before any work, where results cannot be written."""
    try:
        Path(RESULTS).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=RESULTS) as file:
            file.write(bytes(2**20))
    except OSError as error:
        raise WorkflowError(
            f"{RESULTS} cannot be written: {error.strerror}. Make it writable or make room (results "
            "may be a link to a folder elsewhere) and run the same command again; what is finished "
            "is kept."
        ) from None


def start_of_source(name):
    """The model that a trained model starts from, in a list; empty for a random start."""
    if config["training"]["sources"]["initialization"] == "random":
        return []
    return [model_file(f"{model_architecture(name)}_imagenet")]


def growing(amount):
    """A resource of which a retried job asks for more: twice as much at its second attempt."""
    return lambda wc, attempt: attempt * (amount(wc) if callable(amount) else amount)


def network_share(task):
    """What a network needs for an image of a task, as a share of what it needs at 224 x 224."""
    return (image_size(task) / 224) ** 2


def memory_mb(task, at_once=0, networks=0):
    """Memory of a job over a task's images, of which networks see some at once.

    Two Snakemakes and torch take 1500 MB; the outputs of sources 50 kB an image; ResNet-50, the
    largest network, 80 MB for an image that it is trained on, and 400 MB for itself.
    """
    outputs = 0.05 * task_images(config, task)["train_images"]
    return round(1500 + outputs + network_share(task) * (80 * at_once + 400 * networks))


def run_minutes(task, images):
    """Time for networks to see so many images of a task, twice or more of what it takes.

    A GPU takes some 10 ms for an image of 224 x 224 pixels, a CPU core 200 ms.
    """
    seconds = (0.02 if GPUS else 0.4) * network_share(task) * images
    return round(10 + seconds / 60)


def source_settings(name):
    """Settings that a model is trained with, but for the network's."""
    settings = config["training"]["sources"]
    return {
        "steps": settings["steps" if name in SOURCES else "generalist_steps"],
        **{key: settings[key] for key in ("batch_size", "learning_rate", "weight_decay")},
    }


def source_minutes(wildcards):
    """Time to train a source and to test it."""
    task, settings = model_task(wildcards.source), source_settings(wildcards.source)
    tests = task_images(config, task)["test_images"]
    return run_minutes(task, settings["steps"] * settings["batch_size"] + tests)


def cohort_batch():
    """Images that a student sees in one step."""
    return config["training"]["labeled_batch"] + config["training"]["unlabeled_batch"]


def cohort_minutes(wildcards):
    """Time to train the students of a cohort, which take their steps in turn, and to test them."""
    steps = config["training"]["steps"] * cohort_batch()
    tests = task_images(config, wildcards.target)["test_images"]
    return run_minutes(wildcards.target, len(cohort_rows(wildcards)) * (steps + tests))


def image_size(task):
    """Side of the images that networks see of a task, in pixels."""
    if TASKS[task].data_set is None:
        return config["embedded"]["image_size"]
    return config["images"]["size"]


def view_of(task):
    """How images of a task become batches: arguments of `views.make_view`."""
    if TASKS[task].data_set is None:
        return {"kind": "padded_crop", "padding": config["training"]["crop_padding"]}
    images = config["images"]
    if images["transforms"] == "parc":
        # What torchvision's RandomResizedCrop does by itself; CIFAR-10 is shown whole.
        return {
            "kind": "parc",
            "size": images["size"],
            "min_scale": 0.08,
            "flip": False,
            "whole": task == "cifar10",
        }
    return {
        "kind": "resized_crop",
        "size": images["size"],
        "min_scale": images["min_scale"],
        "flip": images["flip"],
    }


def outputs_of(name):
    """How many outputs a model that the workflow loads has."""
    return 1000 if model_task(name) == "imagenet" else TASKS[model_task(name)].num_classes


def parity_statistics(task):
    """Mean and standard deviation that all models of a task share; None for each model's own."""
    if TASKS[task].data_set is None or config["images"]["transforms"] != "parc":
        return None
    return list(map(list, training_statistics(task)))


def output_activation(name):
    """How a source's outputs become probabilities."""
    multi_label = TASKS[model_task(name)].multi_label
    return SOURCES[name].multi_label_outputs if multi_label else "softmax"


def alternatives(names):
    """A regular expression for any of the names; for none of them where there is no name."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"


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
    if starts_from_source(row):
        names = ADMISSIBLE[row["target"]]
        return [name for name in names if SOURCES[name].architecture == row["student"]]
    initial = initial_model(row)
    return [] if initial is None else [initial]


def weights_file(row):
    if row["recipe"] not in WEIGHT_RECIPES:
        return None
    return weights_of(row, row["recipe"])


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
    target, seed = rows[0]["target"], rows[0]["replicate"]
    return {
        "train_images": f"<results>/data/{target}/train_images.npy",
        "test_images": f"<results>/data/{target}/test_images.npy",
        "index": f"<results>/data/{target}/images.csv",
        "meta": f"<results>/data/{target}/meta.json",
        "split": f"<results>/splits/{target}/seed{seed}.csv",
        "labeled": f"<results>/splits/{target}/seed{seed}_labeled.csv",
        "inference": [
            f"<results>/inference/{target}/{name}.safetensors"
            for name in union(used_sources(row) for row in rows)
        ],
        "models": [model_file(name) for name in union(used_models(row) for row in rows)],
        "weights": union(
            [path for path in (weights_file(row), initial_weights(row)) if path] for row in rows
        ),
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
            "initial_weights": initial_weights(row),
            "folder": f"{RESULTS}/students/{row['target']}/{row['recipe']}/seed{row['replicate']}",
        }
        for row in cohort_rows(wildcards)
    ]


def student_facts(wildcards):
    """A student's row of the grid, as its metrics.json has it."""
    row = student_row(wildcards)
    p = None if row["p"] != row["p"] else grid.format_p(row["p"])
    names = ("target", "recipe", "method", "source", "seed", "label_fraction", "student")
    # NaN where a row has none, which JSON does not know.
    facts = {name: None if row[name] != row[name] else row[name] for name in names}
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
    """A path with {target} and {seed} for every target and replicate."""
    return expand(pattern, target=TARGETS, seed=REPLICATES)


# What can be made of the grid: correlations need singles from three sources or more.
METHODS, BASELINES = config["methods"], config["baselines"]
WEIGHTING = config["similarity"]["weighting"]
HAS_CORRELATIONS = METHODS["distill_single"] and min(map(len, ADMISSIBLE.values())) >= 3
TABLES = ["table1_accuracy", "comparison_with_paper"]
COMPARABLE = bool(set(TARGETS) & set(paper_numbers.TARGETS))
FIGURES = ["fig1_weightings", "fig5_accuracy_vs_compute"]
HAS_LABEL_FRACTIONS = len(REPLICATES) > len(SEEDS)
TABLES += ["table_label_fractions"] * HAS_LABEL_FRACTIONS
TABLES += ["table_target_groups"] * bool(config["figures"]["target_groups"])
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
    generated, images = "", "the training images"
    if not set(TARGETS) & set(DATA_SETS):
        generated = f"benchmark seed {embedded['seed']}; "
        images = f"{embedded['target_images']} training images"
    return (
        f"Run {config['name']}: seeds {', '.join(map(str, SEEDS))}; {generated}{len(SOURCES)} sources; "
        f"{training['label_fraction']:.0%} of {images} labelled; lambda = {training['lambda']:g}, "
        f"p = {METHODS['default_p']:g}; {training['steps']} steps."
    )
