"""What a data set on disk is made of: the files it needs, and the list of its images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from distillweighted.files.downloads.file_set import FileSet

if TYPE_CHECKING:
    from PIL.Image import Image


TEST_FRACTION = 0.2
"""Share of the images that are for testing, of a data set without an official split."""


@dataclass(frozen=True)
class Example:
    """One image of a data set.

    Attributes:
        name: What it is called everywhere: unique in the data set and the same on every machine,
            as its path under the data set's folder.
        label: Index of its class; of a multi-label data set, the indices of its classes.
        pool: "train" or "test"; None where there is no official split.
    """

    name: str
    label: int | tuple[int, ...]
    pool: str | None


@dataclass(frozen=True)
class Listing:
    """The images of a data set, in a fixed order.

    Attributes:
        classes: Class names, by label.
        examples: All images.
        open_image: Gives the decoded RGB image of an example; raises `DataError` naming the file
            where it cannot be read.
        path_of: The file that an example is read from (examples may share one).
    """

    classes: tuple[str, ...]
    examples: tuple[Example, ...]
    open_image: Callable[[Example], Image]
    path_of: Callable[[Example], Path]


@dataclass(frozen=True)
class DataSet:
    """A public data set in its published layout.

    Attributes:
        name: Name of the task.
        title: What people call it.
        num_classes: Classes.
        num_train: Images for training; of a data set without an official split, all its images.
        num_test: Test images; 0 without an official split.
        files: What must be on disk.
        read: Lists the images under a data root; raises `DataError` where a file is missing or
            does not have its format.
        multi_label: Whether an image has several classes; such a task can only be a source's.
    """

    name: str
    title: str
    num_classes: int
    num_train: int
    num_test: int
    files: tuple[FileSet, ...]
    read: Callable[[Path], Listing]
    multi_label: bool = False

    @property
    def official_split(self) -> bool:
        """Whether the data set says which images are for testing."""
        return self.num_test > 0
