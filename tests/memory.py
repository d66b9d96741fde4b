"""Peak memory of the jobs at the size of NABirds, on made-up files: `make memory`.

48,562 images are written, decoded and stored; the outputs of 28 sources for the 23,929 training
images are random numbers of the right shapes. Needs about 30 GB of disk and half an hour;
`--scale 0.1` makes a tenth of everything.
"""

import argparse
import multiprocessing
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(ROOT.parent / "workflow_scripts")]

CLASSES, TRAIN, TEST = 555, 23_929, 24_633
OUTPUTS = (555, 37, 200, 101, 120, 21, 10) * 4
WIDTHS = (4096,) * 7 + (1024,) * 7 + (512,) * 7 + (2048,) * 7


def write_birds(root: Path, scale: float) -> None:
    """NABirds' files: images of about 500 x 375 pixels, of one colour but for some noise."""
    import numpy as np
    from PIL import Image

    folder = root / "nabirds"
    classes = round(CLASSES * scale)
    rng = np.random.default_rng(0)
    lists: dict[str, list[str]] = {
        name: [] for name in ("images", "image_class_labels", "train_test_split")
    }
    noise = rng.integers(0, 60, (375, 500, 3), dtype=np.uint8)
    for i in range(round((TRAIN + TEST) * scale)):
        label = i % classes
        path = folder / "images" / f"{label:04d}" / f"{i:08d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise + np.uint8(i % 190)).save(path, quality=70)
        lists["images"].append(f"{i} {label:04d}/{path.name}")
        lists["image_class_labels"].append(f"{i} {label}")
        lists["train_test_split"].append(f"{i} {int(i < TRAIN * scale)}")
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    (folder / "classes.txt").write_text("".join(f"{c} Bird {c}\n" for c in range(classes)))


def write_outputs(root: Path, images: int) -> None:
    """What 28 sources say of the training images: random features and probabilities."""
    import numpy as np

    from distillweighted.sources.outputs import save_inference

    for source, (width, outputs) in enumerate(zip(WIDTHS, OUTPUTS, strict=True)):
        rng = np.random.default_rng(source)
        probabilities = rng.random((images, outputs), np.float32)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        arrays = {"features": rng.random((images, width), np.float32)}
        arrays["pseudo_labels"] = probabilities
        save_inference(root / f"s{source:02d}.safetensors", arrays, {})


def prepare(root: Path) -> None:
    import prepare_data_set

    prepare_data_set.main(
        root / "nabird", task="nabird", data_root=root, check_counts=False, threads=2
    )


def split(root: Path) -> None:
    import split_target

    split_target.main(
        root / "nabird/images.csv",
        root / "nabird/labels.csv",
        root / "split.csv",
        root / "labeled.csv",
        target="nabird",
        fraction=0.2,
        seed=0,
    )


def infer(root: Path) -> None:
    """One source over some images: ResNet-50 needs most, and no more for more images."""
    from distillweighted.batches.views import make_view
    from distillweighted.networks.classifier import build_model
    from distillweighted.networks.model_files import save_model
    from distillweighted.sources.inference import run_source
    from distillweighted.tasks.pools import RaggedPool, open_pool, write_ragged

    meta = {"architecture": "resnet50", "num_classes": 200, "mean": [0.5] * 3, "std": [0.2] * 3}
    save_model(build_model("resnet50", 200, seed=0), root / "resnet50.safetensors", meta)
    pool = open_pool(root / "nabird/train_images.npy", root / "nabird/images.csv")
    few = RaggedPool(root / "few.npy", write_ragged(root / "few.npy", pool.load(range(192))))
    view = make_view({"kind": "resized_crop", "size": 224, "min_scale": 0.3, "flip": True})
    run_source(root / "resnet50.safetensors", few, device="cpu", view=view)


def similarity(root: Path) -> None:
    import score_similarity

    score_similarity.main(
        {path.stem: path for path in sorted(root.glob("s[0-9]*.safetensors"))},
        root / "nabird/images.csv",
        root / "split.csv",
        root / "labeled.csv",
        root / "similarity.csv",
        target="nabird",
        seed=0,
        probe_size=2 * len((root / "nabirds/classes.txt").read_text().splitlines()),
        metrics=["parc", "cka", "rsa"],
        representations=["pseudo_labels", "features"],
    )


def train(root: Path, batch: int = 32, students: int = 4) -> None:
    """A cohort of students of all 28 sources, of three times `batch` images a step."""
    sources = sorted(path.stem for path in root.glob("s[0-9]*.safetensors"))
    weights = "".join(f"{name},{1 / len(sources)}\n" for name in sources)
    (root / "weights.csv").write_text(f"source,weight\n{weights}")
    member = {
        "method": "distill_weighted",
        "objective": "distill",
        "architecture": "mobilenet_v3_large",
        "weights": str(root / "weights.csv"),
    }
    _train(root, [{**member, "recipe": f"r{i}"} for i in range(students)], batch)


def train_with_small_batches(root: Path) -> None:
    """As `train`, with 12 images a step: what is left is what the size of the data set asks for."""
    train(root, batch=4)


def train_resnet50(root: Path, batch: int = 32) -> None:
    """The largest network, alone, as a baseline."""
    member = {"method": "in_transfer", "objective": "transfer", "architecture": "resnet50"}
    _train(root, [{**member, "recipe": "in_transfer-resnet50", "weights": None}], batch)


def train_by_half(root: Path) -> None:
    """As `train`, with the settings of configs/supplement/less_memory.yaml."""
    train(root, batch=16, students=1)


def train_resnet50_by_half(root: Path) -> None:
    """As `train_resnet50`, with the settings of configs/supplement/less_memory.yaml."""
    train_resnet50(root, batch=16)


def _train(root: Path, members: list[dict], batch: int) -> None:
    """Two steps. Testing the students needs less, and an hour."""
    import torch

    import train_students
    from distillweighted.networks.classifier import build_model
    from distillweighted.networks.model_files import save_model

    train_students.predict = lambda model, test, *_, **__: torch.zeros(len(test), 1)

    architecture = members[0]["architecture"]
    start = root / f"{architecture}_start.safetensors"
    meta = {"architecture": architecture, "num_classes": 10, "mean": [0.5] * 3, "std": [0.2] * 3}
    save_model(build_model(architecture, 10, seed=0), start, meta)
    sources = {path.stem: path for path in sorted(root.glob("s[0-9]*.safetensors"))}
    common = {"learning_rate": 0.001, "source": None, "initial": "start", "initial_weights": None}
    settings = {"steps": 2, "labeled_batch": batch, "unlabeled_batch": 2 * batch, "lam": 0.8}
    settings |= {"temperature": 1.0, "learning_rate": 0.001, "weight_decay": 0.01}
    settings |= {"fixmatch_threshold": 0.95, "fixmatch_weight": 1.0}
    data = {name: root / f"nabird/{name}.npy" for name in ("train_images", "test_images")}
    data |= {"index": root / "nabird/images.csv", "meta": root / "nabird/meta.json"}
    data |= {"split": root / "split.csv", "labeled": root / "labeled.csv"}
    train_students.main(
        data,
        sources,
        {"start": start},
        [{**common, "folder": "nowhere", **member} for member in members],
        root / "cohort",
        target="nabird",
        seed=0,
        image_size=224,
        settings=settings,
        view={"kind": "resized_crop", "size": 224, "min_scale": 0.3, "flip": True},
        statistics=([0.5] * 3, [0.2] * 3),
        distill_labeled=False,
        code="0",
        device="cpu",
        threads=2,
    )


JOBS = (
    prepare,
    split,
    infer,
    similarity,
    train_with_small_batches,
    train,
    train_resnet50,
    train_by_half,
    train_resnet50_by_half,
)


def peak_of(work: Callable, *arguments: object) -> float:
    """Peak resident memory of a function in a process of its own, in GB."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_measured, args=(queue, work, arguments))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{work.__name__} failed")
    return queue.get()


def _measured(queue, work: Callable, arguments: tuple) -> None:
    work(*arguments)
    queue.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        write_birds(root, options.scale)
        write_outputs(root, round(TRAIN * options.scale))
        for work in JOBS:
            print(f"{work.__name__}: {peak_of(work, root):.2f} GB", flush=True)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
