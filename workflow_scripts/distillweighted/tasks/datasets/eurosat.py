"""EuroSAT: satellite images of land use, of one folder a class (Helber et al., 2019)."""

from __future__ import annotations

from pathlib import Path

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.tasks.datasets.folders import read_class_folders
from distillweighted.tasks.listing import DataSet, Listing


def read_eurosat(data_root: Path) -> Listing:
    """List the images of `eurosat/2750/`.

    Raises:
        DataError: Where the folder is missing, or holds something else than folders of images.
    """
    return read_class_folders(data_root / "eurosat", "2750")


EUROSAT = DataSet(
    name="eurosat",
    title="EuroSAT",
    num_classes=10,
    num_train=27_000,
    num_test=0,
    files=(
        FileSet(
            path="eurosat/2750",
            size=94_000_000,
            origin="https://github.com/phelber/eurosat: unpack EuroSAT.zip (RGB) into eurosat/",
            # torchvision's address and checksum (datasets/eurosat.py).
            url="https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
            "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
            checksum="md5:c8fa014336c82ac7804f0398fcb19387",
            unpack="eurosat",
        ),
    ),
    read=read_eurosat,
)
