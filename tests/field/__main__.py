"""Gets what `make field-check` runs on, and says what it is."""

import shutil
import sys
from importlib.resources import files
from pathlib import Path

from .networks import (
    SEEN,
    load_network,
    name_classes,
    save_network,
    save_random_network,
)
from .packages import WEIGHTS, PackageError, get_debian, get_weights
from .pictures import ROOTS, find_pictures, write_image_folder

STUDENT = "tf_efficientnet_lite0"


def write_networks(folder: Path) -> None:
    """Write the networks' files, and stop where one does not know what a photograph shows."""
    photographs = Path(str(files("sklearn.datasets.images")))
    for architecture, weights in WEIGHTS.items():
        network = load_network(architecture, get_weights(weights, folder))
        for photograph in sorted({photograph for _, photograph in SEEN}):
            seen = name_classes(network, photographs / photograph)
            said = "; ".join(f"{name} {probability:.2f}" for name, probability in seen)
            print(f"{architecture} sees in {photograph}: {said}")
            expected = SEEN.get((architecture, photograph), "")
            if not any(expected in name for name, _ in seen):
                raise PackageError(f"{expected} is not among these: the weights are not its own")
        # Under timm's own names, for the student's start and for a source by timm's name.
        save_network(network, folder / f"{architecture}.safetensors")
    save_random_network(STUDENT, folder / "random.safetensors", seed=0)


def write_images(folder: Path, unpacked: Path) -> None:
    """Write the image folder out of all packages that the distribution has."""
    packages = {
        package: unpacked / package for package in ROOTS if get_debian(package, unpacked / package)
    }
    if missing := ROOTS.keys() - packages.keys():
        print(f"without {', '.join(missing)}, which this distribution has not: fewer categories")
    pictures = find_pictures(packages)
    if len(pictures) < 2:
        raise PackageError("too few pictures for two categories: the packages are not as expected")
    partial = folder.with_name(f"{folder.name}.partial")
    counts = write_image_folder(partial, pictures)
    partial.rename(folder)
    shutil.rmtree(unpacked)
    for part, of_category in counts.items():
        listed = ", ".join(f"{category} {count}" for category, count in of_category.items())
        print(f"{part}: {sum(of_category.values())} images ({listed})")


def main(folder: Path) -> None:
    """Write `folder`/images and `folder`/weights; what is there already is not made again."""
    weights, images = folder / "weights", folder / "images"
    if not (weights / "finished").is_file():
        weights.mkdir(parents=True, exist_ok=True)
        write_networks(weights)
        (weights / "finished").touch()
    if not images.is_dir():
        write_images(images, folder / "packages")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except PackageError as error:
        sys.exit(str(error))
