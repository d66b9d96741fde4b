"""Sheets of images on a student's page."""

import numpy as np
import pytest

from distillweighted.deployment.pictures import LONGEST, Shown, sheet, shortened


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("labeled/rose/1.jpg", "labeled/rose/1.jpg"),
        ("a" * LONGEST, "a" * LONGEST),
        (
            "unlabeled/2024-05-17 Holiday on Crete/IMG_20240517_0012.jpg",
            "unlabeled…_20240517_0012.jpg",
        ),
    ],
)
def test_long_names_lose_their_middle(name, shown):
    assert shortened(name) == shown and len(shown) <= LONGEST
    assert shortened("0123456789", 7) == "01…6789"


def test_a_sheet_shows_the_short_name_and_knows_the_whole_one():
    name = "unlabeled/" + "x" * 40 + "/<1>.jpg"
    shown = sheet([Shown(np.zeros((4, 4, 3), np.uint8), name, "rose, 90 %")])
    whole = name.replace("<", "&lt;").replace(">", "&gt;")
    assert f'title="{whole}"' in shown and f'alt="{whole}"' in shown
    assert f'class="name">unlabeled…{"x" * 10}/&lt;1&gt;.jpg</span>' in shown
