"""ChestX-ray14: chest radiographs with findings (Wang et al., 2017), in seven classes.

The classes and the choice of images are those of the cross-domain few-shot benchmark (Guo et al.,
2020), whose 25,848 images the paper uses.
"""

from __future__ import annotations

from pathlib import Path

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.tasks.datasets.reading import ImageList, data_error, read_csv
from distillweighted.tasks.listing import DataSet, Listing

CLASSES = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumothorax",
)
"""Findings that are classes."""

OTHER_FINDINGS = (
    "No Finding",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Pleural_Thickening",
    "Pneumonia",
)
"""What else the table may say of an image."""

_TABLES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")
_KNOWN = frozenset(CLASSES + OTHER_FINDINGS)


def read_chestx(data_root: Path) -> Listing:
    """List the images of `chestx/` that have exactly one finding, one of `CLASSES`.

    They are in the order of Data_Entry_2017.csv, or of Data_Entry_2017_v2020.csv where only that is
    there. The classes are those of `CLASSES` that images have.

    Raises:
        DataError: Where a file is missing or malformed, or a finding is unknown.
    """
    folder = data_root / "chestx"
    table = next((folder / name for name in _TABLES if (folder / name).exists()), None)
    chosen = _read_findings(table or folder / _TABLES[0])
    found = {finding for finding, _ in chosen.values()}
    classes = [name for name in CLASSES if name in found]
    images = ImageList(folder)
    for image, (finding, where) in chosen.items():
        images.add(f"images/{image}", classes.index(finding), None, where)
    return images.listing(classes)


def _read_findings(table: Path) -> dict[str, tuple[str, str]]:
    """The class of each image that has one, and where the table says so, for errors."""
    lines = read_csv(table)
    where, header = next(lines, (str(table), []))
    try:
        name_at, findings_at = header.index("Image Index"), header.index("Finding Labels")
    except ValueError:
        raise data_error(f"{where}: no column 'Image Index' or no 'Finding Labels'") from None
    seen: dict[str, str] = {}
    chosen: dict[str, tuple[str, str]] = {}
    for where, cells in lines:
        image, findings = cells[name_at], cells[findings_at].split("|")
        # Also where only one of the two rows would be chosen.
        if image in seen:
            raise data_error(
                f"{where}: the image '{image}' is listed twice, first in {seen[image]}"
            )
        seen[image] = where
        if unknown := [finding for finding in findings if finding not in _KNOWN]:
            raise data_error(f"{where}: the finding '{unknown[0]}' of '{image}' is unknown")
        if len(findings) == 1 and findings[0] in CLASSES:
            chosen[image] = findings[0], where
    return chosen


CHESTX = DataSet(
    name="chestx",
    title="ChestX-ray14",
    num_classes=7,
    num_train=25_848,
    num_test=0,
    files=(
        FileSet(
            # Not its table, which has two names.
            path="chestx",
            size=45_000_000_000,
            origin="https://nihcc.app.box.com/v/ChestXray-NIHCC: Data_Entry_2017.csv, and the "
            "archives of images unpacked into chestx/images/",
        ),
    ),
    read=read_chestx,
)
