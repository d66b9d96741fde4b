"""Fill a file of arrays for `sources: from: arrays`, by any function of an image.

    python -m distillweighted images my_task.yaml my_task > images.csv
    python fill_arrays.py images.csv arrays.npz

Needs NumPy and Pillow, and what `ask` needs; no part of distillweighted, so that it runs wherever
your model can be called. It saves as it goes: stopped at any time and started again, it goes on
where it was. Put your own model into `ask`.
"""

import csv
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

SAVE_EVERY = 60  # seconds
ATTEMPTS = 5


def ask(path: Path) -> dict[str, list[float]]:
    """What your model says of an image file: features, probabilities, or both.

    This one stands for a call of an API: it answers with the mean colours of a grid of 4 x 4, and
    with how the image's brightness is shared among its quarters.
    """
    with Image.open(path) as image:
        grid = np.asarray(image.convert("RGB").resize((4, 4), Image.Resampling.BOX), float) / 255
    quarters = grid.mean(axis=2).reshape(2, 2, 2, 2).sum(axis=(1, 3)).ravel() + 1e-6
    return {
        "features": grid.ravel().tolist(),
        "probabilities": (quarters / quarters.sum()).tolist(),
    }


def ask_patiently(path: Path) -> dict[str, list[float]]:
    """As `ask`, which is asked again where the network fails it."""
    for attempt in range(ATTEMPTS):
        try:
            return ask(path)
        except (ConnectionError, TimeoutError):
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(2**attempt)
    raise AssertionError


def load(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """The answers that are there already, by name of the image."""
    if not path.exists():
        return {}
    with np.load(path) as file:
        kinds = {name: file[name] for name in file.files}
    names = kinds.pop("images").tolist()
    return {name: {kind: kinds[kind][i] for kind in kinds} for i, name in enumerate(names)}


def save(path: Path, answers: dict[str, dict[str, np.ndarray]]) -> None:
    """Write the answers; a stop while it writes leaves the file as it was."""
    arrays = {"images": np.array(list(answers), dtype=str)}
    for kind in next(iter(answers.values())):
        arrays[kind] = np.array([answer[kind] for answer in answers.values()], np.float32)
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        np.savez_compressed(file, **arrays)
    partial.replace(path)


def main(images: Path, output: Path) -> None:
    """Ask about every image that has no answer yet."""
    with open(images, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    answers = load(output)
    left = [row for row in rows if row["image"] not in answers]
    print(f"{len(rows)} images, {len(left)} to ask about")
    saved = time.monotonic()
    try:
        for row in left:
            answer = ask_patiently(Path(row["file"]))
            answers[row["image"]] = {kind: np.array(v, np.float32) for kind, v in answer.items()}
            if time.monotonic() - saved > SAVE_EVERY:
                save(output, answers)
                saved = time.monotonic()
    finally:
        if left and answers:
            save(output, answers)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
