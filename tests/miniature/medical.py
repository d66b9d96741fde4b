"""Miniatures of ISIC 2018 and ChestX-ray14: tables with a row an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from distillweighted.tasks.datasets.chestx import CLASSES
from distillweighted.tasks.datasets.isic import LESIONS

from .pictures import make_picture, save_jpeg, write_lines


def write_isic(data_root: Path, *, classes: int, per_class: int, seed: int, size: int = 40) -> None:
    """Write `isic2018/`: images of 4 by 3, and a ground truth of one 1.0 a row."""
    folder = data_root / "isic2018"
    images = folder / "ISIC2018_Task3_Training_Input"
    rows = [",".join(("image", *LESIONS[:classes]))]
    for index in range(per_class):
        for label in range(classes):
            image = f"ISIC_{24306 + len(rows) - 1:07d}"
            pixels = make_picture("isic", label, index, height=size, width=size * 4 // 3, seed=seed)
            save_jpeg(images / f"{image}.jpg", pixels)
            rows.append(
                ",".join((image, *("1.0" if i == label else "0.0" for i in range(classes))))
            )
    (images / "ATTRIBUTION.txt").write_text("Miniature images.\n", encoding="utf-8")
    write_lines(folder / "ISIC2018_Task3_Training_GroundTruth.csv", rows)


def write_chestx(
    data_root: Path, *, classes: int, per_class: int, seed: int, size: int = 40
) -> None:
    """Write `chestx/`: grey images, every fifth of them RGBA, and a table of findings.

    After each image of one finding comes a row that is no class: several findings, another finding
    or none; those have no file.
    """
    folder = data_root / "chestx"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = [
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
        "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
    ]
    patient = 0
    for index in range(per_class):
        for label in range(classes):
            patient += 1
            image = f"{patient:08d}_000.png"
            grey = make_picture("chestx", label, index, height=size, width=size, seed=seed)[:, :, 0]
            if patient % 5 == 0:
                opaque = np.full_like(grey, 255)
                picture = Image.fromarray(np.stack([grey, grey, grey, opaque], axis=2))
            else:
                picture = Image.fromarray(np.ascontiguousarray(grey))
            picture.save(folder / "images" / image)
            finding = CLASSES[label]
            others = (f"{finding}|Hernia", "No Finding", "Pneumonia", f"Edema|{finding}")
            for visit, text in enumerate((finding, others[patient % 4])):
                rows.append(
                    f"{patient:08d}_{visit:03d}.png,{text},{visit},{patient},58,M,PA,"
                    f"{size},{size},0.143,0.143,"
                )
    write_lines(folder / "Data_Entry_2017.csv", rows)
