"""The numbers that the paper prints, as data.

Every number of "Distilling from Similar Tasks for Transfer Learning on a Budget" (ICCV 2023) that
this project shows is read from the three CSV files beside this module: Tables 1, 2 and 3, as
printed (accuracies and relative accuracies in percent with one decimal, correlations with two).
Two sentences of the paper's prose do not match its own Table 1; the tables are what counts here.
"""

from pathlib import Path

import pandas as pd

#: The names of the paper's eight target tasks, in the order of its tables.
TARGETS = (
    "cifar10",
    "cub200",
    "chestx",
    "eurosat",
    "isic",
    "nabird",
    "oxford_pets",
    "stanford_dogs",
)

#: What the paper calls a representation, and what this project calls it.
REPRESENTATIONS = {"pseudo": "pseudo_labels", "feature": "features"}

#: The names under which torchvision, timm and the configs know the paper's student.
STUDENT_ALIASES = {
    "mobilenet_v3_large": "mobilenetv3",
    "mobilenetv3_large": "mobilenetv3",
    "mobilenetv3_large_100": "mobilenetv3",
}

_FOLDER = Path(__file__).parent


def table1() -> pd.DataFrame:
    """Table 1: test accuracy in percent.

    Returns:
        Columns student, gflops (giga multiply-accumulates), method, one a target, mean.
    """
    return pd.read_csv(_FOLDER / "table1_accuracy.csv")


def table2() -> pd.DataFrame:
    """Table 2: Spearman correlation of similarity and accuracy of the single-source students.

    Returns:
        Columns representation (this project's names), metric, one a target, mean.
    """
    return _renamed(pd.read_csv(_FOLDER / "table2_correlation.csv"))


def table3() -> pd.DataFrame:
    """Table 3: accuracy of the 3 students of the most similar sources, in percent of the best 3.

    Returns:
        Columns representation (this project's names), metric, one a target, mean.
    """
    return _renamed(pd.read_csv(_FOLDER / "table3_top3_relative_accuracy.csv"))


def _renamed(table: pd.DataFrame) -> pd.DataFrame:
    unknown = set(table["representation"]) - set(REPRESENTATIONS)
    if unknown:
        raise ValueError(f"unknown representation in the paper's table: {sorted(unknown)}")
    return table.assign(representation=table["representation"].map(REPRESENTATIONS))
