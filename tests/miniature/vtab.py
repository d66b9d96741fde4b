"""Miniatures of the data sets of VTAB Natural and Specialized that are not among the paper's ten.

As the other miniatures: `classes` classes of `per_class` images, every fourth for testing where
there is an official split.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from distillweighted.tasks.datasets.vtab_natural import UNREADABLE_SCENE
from miniature.cifar import pickle_as_python2
from miniature.pictures import is_test, make_picture, save_jpeg, vary_size, write_lines

FINE = ("apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee")
TEXTURES = ("banded", "blotchy", "braided", "bubbly", "bumpy", "chequered", "cobwebbed")
SCENES = (
    "a/abbey",
    "a/apartment_building/outdoor",
    "c/church/outdoor",
    "c/creek",
    "l/library/indoor",
    "l/library/outdoor",
    "z/zoo",
)
LANDS = ("airplane", "airport", "baseball_diamond", "beach", "bridge", "chaparral", "church")


def write_cifar100(data_root: Path, *, classes: int, per_class: int, seed: int) -> None:
    """Write `cifar-100-python/`: each image has a fine and, another number, a coarse label."""
    folder = data_root / "cifar-100-python"
    folder.mkdir(parents=True, exist_ok=True)
    for pool in ("train", "test"):
        images = [
            (make_picture("cifar100", label, index, height=32, width=32, seed=seed), label)
            for index in range(per_class)
            for label in range(classes)
            if is_test(index) == (pool == "test")
        ]
        content = {
            b"batch_label": b"training batch 1 of 1",
            b"coarse_labels": [(label + 1) % classes for _, label in images],
            b"data": np.stack([pixels.transpose(2, 0, 1).reshape(-1) for pixels, _ in images]),
            b"fine_labels": [label for _, label in images],
        }
        (folder / pool).write_bytes(pickle_as_python2(content))
    meta = {
        b"coarse_label_names": [f"group {label}".encode() for label in range(classes)],
        b"fine_label_names": [name.encode() for name in FINE[:classes]],
    }
    (folder / "meta").write_bytes(pickle_as_python2(meta))


def write_dtd(data_root: Path, *, classes: int, per_class: int, seed: int, size: int = 40) -> None:
    """Write `dtd/dtd/` with two of its ten splits, which have other images for testing."""
    folder = data_root / "dtd" / "dtd"
    lists: dict[str, list[str]] = {f"{p}{n}": [] for n in (1, 2) for p in ("train", "val", "test")}
    for label, name in enumerate(TEXTURES[:classes]):
        for index in range(per_class):
            _save(
                folder / "images" / f"{name}/{name}_{index:04d}.jpg",
                "dtd",
                label,
                index,
                size,
                seed,
            )
            for split in (1, 2):
                pool = ("train", "train", "val", "test")[(index + split - 1) % 4]
                lists[f"{pool}{split}"].append(f"{name}/{name}_{index:04d}.jpg")
    for name, lines in lists.items():
        write_lines(folder / "labels" / f"{name}.txt", lines)


def write_flowers102(
    data_root: Path, *, classes: int, per_class: int, seed: int, size: int = 40
) -> None:
    """Write `flowers-102/`: images go round the classes, and both are numbered from 1."""
    folder = data_root / "flowers-102"
    class_ids, splits = [], {"trnid": [], "valid": [], "tstid": []}
    for index in range(per_class):
        for label in range(classes):
            class_ids.append(label + 1)
            image_id = len(class_ids)
            split = "tstid" if is_test(index) else "valid" if index % 4 == 2 else "trnid"
            splits[split].append(image_id)
            _save(folder / f"jpg/image_{image_id:05d}.jpg", "flowers102", label, index, size, seed)
    savemat(folder / "imagelabels.mat", {"labels": np.array([class_ids], np.uint8)})
    savemat(
        folder / "setid.mat", {name: np.array([ids], np.uint16) for name, ids in splits.items()}
    )


def write_sun397(
    data_root: Path, *, classes: int, per_class: int, seed: int, size: int = 40
) -> None:
    """Write `SUN397/`: the first image of each class is a PNG file with transparency, whose name
    still ends in .jpg, and the damaged image is there where there are three classes."""
    folder = data_root / "SUN397"
    for label, scene in enumerate(SCENES[:classes]):
        for index in range(per_class):
            path = folder / scene / f"sun_a{'abcdefghijklmnopqrst'[index]}xyz.jpg"
            _save(path, "sun397", label, index, size, seed)
            if index == 0:
                pixels = make_picture("sun397", label, 0, height=size, width=size, seed=seed)
                alpha = np.full((size, size, 1), 128, np.uint8)
                Image.fromarray(np.concatenate([pixels, alpha], axis=2)).save(path, "PNG")
    if classes > 2:
        (folder / UNREADABLE_SCENE).write_bytes(b"damaged")
    write_lines(folder / "ClassName.txt", [f"/{scene}" for scene in SCENES[:classes]])
    write_lines(folder / "Training_01.txt", [f"/{SCENES[0]}/sun_aaxyz.jpg"])


def write_svhn(data_root: Path, *, classes: int, per_class: int, seed: int) -> None:
    """Write `svhn/`: images h x w x 3 x n, and labels n x 1, 10 for the digit 0."""
    (data_root / "svhn").mkdir(parents=True, exist_ok=True)
    for pool in ("train", "test"):
        images = [
            (make_picture("svhn", digit, index, height=32, width=32, seed=seed), digit or 10)
            for index in range(per_class)
            for digit in range(classes)
            if is_test(index) == (pool == "test")
        ]
        arrays = {
            "X": np.stack([pixels for pixels, _ in images], axis=3),
            "y": np.array([[label] for _, label in images], np.uint8),
        }
        savemat(data_root / "svhn" / f"{pool}_32x32.mat", arrays, do_compression=True)


def write_resisc45(
    data_root: Path, *, classes: int, per_class: int, seed: int, size: int = 40
) -> None:
    """Write `NWPU-RESISC45/`: square images of one size, numbered from 1."""
    for label, name in enumerate(LANDS[:classes]):
        for index in range(per_class):
            pixels = make_picture("resisc45", label, index, height=size, width=size, seed=seed)
            save_jpeg(data_root / "NWPU-RESISC45" / name / f"{name}_{index + 1:03d}.jpg", pixels)


def write_pcam(data_root: Path, *, classes: int, per_class: int, seed: int, size: int = 40) -> None:
    """Write `pcam/` with at most its two classes; h5py must be there."""
    import h5py

    folder = data_root / "pcam"
    folder.mkdir(parents=True, exist_ok=True)
    splits: dict[str, list[tuple[np.ndarray, int]]] = {"train": [], "valid": [], "test": []}
    for index in range(per_class):
        for label in range(min(classes, 2)):
            pixels = make_picture("pcam", label, index, height=size, width=size, seed=seed)
            split = "test" if is_test(index) else "valid" if index % 4 == 2 else "train"
            splits[split].append((pixels, label))
    for split, images in splits.items():
        labels = np.array([label for _, label in images], np.uint8).reshape(-1, 1, 1, 1)
        for kind, array in (("x", np.stack([pixels for pixels, _ in images])), ("y", labels)):
            path = folder / f"camelyonpatch_level_2_split_{split}_{kind}.h5"
            with h5py.File(path, "w") as file:
                file.create_dataset(kind, data=array)


def write_diabetic_retinopathy(
    data_root: Path, *, classes: int, per_class: int, seed: int, size: int = 40
) -> None:
    """Write `diabetic-retinopathy/` with at most its five classes: two eyes of each patient."""
    folder = data_root / "diabetic-retinopathy"
    rows = ["image,level"]
    for index in range(per_class):
        for label in range(min(classes, 5)):
            patient, eye = divmod(len(rows) - 1, 2)
            image = f"{patient + 10}_{('left', 'right')[eye]}"
            path = folder / "train" / f"{image}.jpeg"
            _save(path, "diabetic_retinopathy", label, index, size, seed)
            rows.append(f"{image},{label}")
    write_lines(folder / "trainLabels.csv", rows)


def _save(path: Path, task: str, label: int, index: int, size: int, seed: int) -> None:
    height, width = vary_size(task, label, index, size=size, seed=seed)
    save_jpeg(path, make_picture(task, label, index, height=height, width=width, seed=seed))


def stand_in_for_h5py() -> types.ModuleType:
    """What `write_pcam` and its reader use of h5py, for a machine without it; files are NumPy's.

    Install it as `sys.modules["h5py"]`.
    """
    module = types.ModuleType("h5py")

    class Dataset:
        external, is_virtual, chunks = None, False, None

        def __init__(self, values: np.ndarray):
            self.values, self.shape, self.dtype = values, values.shape, values.dtype

        def __getitem__(self, key: object) -> np.ndarray:
            return self.values[key]

    class HardLink:
        pass

    class File:
        def __init__(self, path: Path, mode: str):
            self.path, self.arrays = path, {}
            if mode == "r":
                with np.load(path) as arrays:
                    self.arrays = {name: Dataset(arrays[name]) for name in arrays.files}

        def create_dataset(self, name: str, data: np.ndarray) -> None:
            self.arrays[name] = data

        def get(self, name: str, *, getlink: bool) -> HardLink | None:
            return HardLink() if name in self.arrays else None

        def __getitem__(self, name: str) -> Dataset:
            return self.arrays[name]

        def __enter__(self) -> File:
            return self

        def __exit__(self, *_: object) -> None:
            with open(self.path, "wb") as file:
                np.savez(file, **self.arrays)

    module.Dataset, module.HardLink, module.File = Dataset, HardLink, File
    return module


WRITERS: dict[str, Callable[..., None]] = {
    "cifar100": write_cifar100,
    "dtd": write_dtd,
    "flowers102": write_flowers102,
    "sun397": write_sun397,
    "svhn": write_svhn,
    "resisc45": write_resisc45,
    "pcam": write_pcam,
    "diabetic_retinopathy": write_diabetic_retinopathy,
}
"""The writer of each data set, by the name of its task."""
