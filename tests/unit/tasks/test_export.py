"""A task of the embedded benchmark as ordinary image files."""

import numpy as np
import pytest
from PIL import Image

from distillweighted.__main__ import main
from distillweighted.seeds import derive_seed
from distillweighted.tasks.embedded import class_names, generate
from distillweighted.tasks.own.scan import planned_sizes, scan_own_task
from distillweighted.tasks.own.spec import OwnTaskSpec
from distillweighted.tasks.splits import split_labeled


def test_an_exported_task_is_the_demos_target_image_by_image(tmp_path):
    folder = tmp_path / "photos"
    said = main(["export", "lesions_b", str(folder), "--labeled", "0.3", "--seed", "2"])
    assert said == f"{folder}: 300 labeled, 700 unlabeled, 1000 test"
    images, labels = generate("lesions_b", num_images=1000, pool="train", seed=2024, image_size=24)
    mask = split_labeled(labels, 0.3, seed=derive_seed(2, "lesions_b", "split") % 2**32)
    names = class_names("lesions_b")
    for row in range(0, 1000, 37):
        part = f"labeled/{names[labels[row]]}" if mask[row] else "unlabeled"
        pixels = np.asarray(Image.open(folder / part / f"{row:04d}.png"))
        np.testing.assert_array_equal(pixels, images[row])
    parts = {part: str(folder / part) for part in ("labeled", "unlabeled", "test")}
    scan = scan_own_task(OwnTaskSpec("mine", **parts))
    assert scan.flaws == () and scan.classes == tuple(sorted(names))
    assert planned_sizes(scan, 0.2) == {"train_images": 1000, "test_images": 1000}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["latn"], "'latn' is no task of the embedded benchmark (allowed: "),
        (["latin", "--labeled", "1"], "--labeled is 1 (allowed: a number above 0 and below 1)"),
        (["latin", "--lab", "1"], "'--lab' is no option of export (allowed: --labeled, --seed)"),
    ],
)
def test_what_cannot_be_exported(arguments, said, tmp_path):
    with pytest.raises(ValueError) as caught:
        main(["export", arguments[0], str(tmp_path / "out"), *arguments[1:]])
    assert str(caught.value).startswith(said)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(FileExistsError, match="is there already, and not an empty folder"):
        main(["export", "latin", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
