"""Every task by name."""

from distillweighted.tasks import embedded
from distillweighted.tasks.datasets import DATASETS
from distillweighted.tasks.registry import list_tasks

TASKS = list_tasks({})

PAPER = ("cifar10", "cub200", "chestx", "eurosat", "isic", "nabird", "oxford_pets", "stanford_dogs")


def test_embedded_tasks_and_data_sets_have_names_of_their_own():
    assert len(TASKS) == len(embedded.TASKS) + len(DATASETS)
    assert all(name == task.name for name, task in TASKS.items())


def test_the_papers_targets_have_their_classes():
    classes = {name: TASKS[name].num_classes for name in PAPER}
    assert classes == {
        "cifar10": 10,
        "cub200": 200,
        "chestx": 7,
        "eurosat": 10,
        "isic": 7,
        "nabird": 555,
        "oxford_pets": 37,
        "stanford_dogs": 120,
    }
    assert TASKS["caltech101"].num_classes == 101
    # 20 classes, and the background that PARC's models have an output for.
    assert TASKS["voc2007"].num_classes == 21 and TASKS["voc2007"].multi_label


def test_sizes_of_data_sets_are_the_published_ones():
    assert TASKS["cifar10"].sizes({}) == {"train_images": 50_000, "test_images": 10_000}
    assert TASKS["nabird"].sizes({}) == {"train_images": 23_929, "test_images": 24_633}
    # No official split: a fifth is for testing.
    assert TASKS["eurosat"].sizes({}) == {"train_images": 21_600, "test_images": 5_400}
    assert TASKS["isic"].sizes({}) == {"train_images": 8_012, "test_images": 2_003}
