"""Miniature of PASCAL VOC 2007: several objects an image, in annotations of XML."""

from __future__ import annotations

from pathlib import Path

from distillweighted.tasks.datasets.voc2007 import CLASSES

from .pictures import is_test, make_picture, save_jpeg, vary_size, write_lines


def write_voc2007(
    data_root: Path, *, classes: int, per_class: int, seed: int, size: int = 40
) -> None:
    """Write `VOCdevkit/VOC2007/` with the first of its classes.

    Every third image of a class has an object of the next class below the first object. Objects
    occur twice, are marked as difficult, and persons have parts with names of their own. One image
    in eight of a class (the third) is of val.txt.
    """
    folder = data_root / "VOCdevkit" / "VOC2007"
    sets: dict[str, list[str]] = {"train": [], "val": [], "trainval": [], "test": []}
    number = 0
    for index in range(per_class):
        for label in range(1, classes + 1):
            number += 1
            image = f"{number:06d}"
            height, width = vary_size("voc2007", label, index, size=size, seed=seed)
            pixels = make_picture("voc2007", label, index, height=height, width=width, seed=seed)
            labels = [label]
            if index % 3 == 1:
                labels.append(label % classes + 1)
                below = make_picture(
                    "voc2007", labels[1], index, height=height, width=width, seed=seed
                )
                pixels[height // 2 :] = below[height // 2 :]
            save_jpeg(folder / "JPEGImages" / f"{image}.jpg", pixels)
            annotation = annotate(image, [CLASSES[label] for label in labels])
            path = folder / "Annotations" / f"{image}.xml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(annotation, encoding="utf-8")
            if is_test(index):
                sets["test"].append(image)
            else:
                sets["val" if index % 8 == 2 else "train"].append(image)
                sets["trainval"].append(image)
    for name, images in sets.items():
        write_lines(folder / "ImageSets" / "Main" / f"{name}.txt", images)


def annotate(image: str, names: list[str]) -> str:
    """An annotation with an object of each name, and the first object once more."""
    objects = "".join(
        f"<object><name>{name}</name><pose>Left</pose><difficult>{int(row > 0)}</difficult>"
        + ("<part><name>head</name></part>" if name == "person" else "")
        + "</object>"
        for row, name in enumerate([*names, names[0]])
    )
    return f"<annotation><filename>{image}.jpg</filename>{objects}</annotation>\n"
