"""ISIC 2018 and ChestX-ray14: a table with a row an image."""

from collections import Counter

import numpy as np
import pytest
from miniature import write_chestx, write_isic
from miniature.pictures import make_picture
from PIL import Image

from distillweighted.errors import DataError
from distillweighted.tasks.datasets.chestx import read_chestx
from distillweighted.tasks.datasets.isic import read_isic


@pytest.fixture
def truth(tmp_path):
    write_isic(tmp_path, classes=4, per_class=3, seed=7)
    return tmp_path / "isic2018" / "ISIC2018_Task3_Training_GroundTruth.csv"


@pytest.fixture
def findings(tmp_path):
    write_chestx(tmp_path, classes=5, per_class=3, seed=7)
    return tmp_path / "chestx" / "Data_Entry_2017.csv"


def read(table):
    return (read_isic if "ISIC" in table.name else read_chestx)(table.parents[1])


def edit(path, number, line):
    """Change a line, counted from 1."""
    lines = path.read_text().splitlines()
    lines[number - 1] = line
    path.write_text("\n".join(lines) + "\n")


def test_a_class_of_isic_is_the_column_that_has_1(truth):
    assert truth.read_text().splitlines()[:3] == [
        "image,MEL,NV,BCC,AKIEC",
        "ISIC_0024306,1.0,0.0,0.0,0.0",
        "ISIC_0024307,0.0,1.0,0.0,0.0",
    ]
    listing = read(truth)
    assert listing.classes == ("MEL", "NV", "BCC", "AKIEC")
    assert [e.label for e in listing.examples] == [0, 1, 2, 3] * 3
    seventh = listing.examples[6]
    assert seventh.name == "ISIC2018_Task3_Training_Input/ISIC_0024312.jpg"
    assert (seventh.label, seventh.pool) == (2, None)
    pixels = np.asarray(listing.open_image(seventh)).astype(int)
    expected = make_picture("isic", 2, 1, height=40, width=53, seed=7).astype(int)
    assert pixels.shape == (40, 53, 3) and np.abs(pixels - expected).mean() < 6


def test_isic_has_its_seven_classes_in_the_order_of_the_columns(tmp_path):
    write_isic(tmp_path, classes=7, per_class=1, seed=0)
    classes = read_isic(tmp_path).classes
    assert classes == ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ISIC_0024308,0.0,0.0,1.0", "4 cells, where the header has 5"),
        ("ISIC_0024308,0.0,0.0,0.0,0.0", "not have 1.0 in one column and 0.0 elsewhere"),
        ("ISIC_0024308,1.0,0.0,1.0,0.0", "not have 1.0 in one column and 0.0 elsewhere"),
        ("ISIC_0024308,0.0,0.0,0.9,0.1", "not have 1.0 in one column and 0.0 elsewhere"),
        ("ISIC_0024308,0.0,0.0,,1.0", "not have 1.0 in one column and 0.0 elsewhere"),
        ("ISIC_0024306,0.0,0.0,1.0,0.0", "ISIC_0024306.jpg' is listed twice, first in .*line 2"),
        ("../ISIC_0024306,0.0,0.0,1.0,0.0", "'../ISIC_0024306' is not the name of an image"),
        ("..,0.0,0.0,1.0,0.0", None),
    ],
)
def test_a_row_of_isic_that_does_not_fit_is_named(line, message, truth):
    edit(truth, 4, line)
    if message is None:
        # Only a file called '...jpg' in the folder of images: missing, and no way out of it.
        with pytest.raises(DataError, match=r"1 of 12 images are missing"):
            read(truth)
        return
    with pytest.raises(DataError, match=rf"GroundTruth\.csv, line 4: .*{message}"):
        read(truth)


@pytest.mark.parametrize(
    "header",
    ["image,MEL,NV,BCC,SCC", "name,MEL,NV,BCC,AKIEC", "image,MEL,NV,BCC,BCC", "image", '""'],
)
def test_a_header_of_another_table_is_an_error(header, truth):
    edit(truth, 1, header)
    with pytest.raises(DataError, match=r"GroundTruth\.csv, line 1: the header is not image,MEL"):
        read(truth)


@pytest.mark.parametrize("table", ["truth", "findings"])
def test_an_empty_table_is_an_error(table, request):
    path = request.getfixturevalue(table)
    path.write_text("")
    with pytest.raises(DataError, match=path.name.replace(".", r"\.")):
        read(path)


def test_chestx_has_the_images_of_exactly_one_finding(findings):
    rows = findings.read_text().splitlines()
    assert len(rows) == 31
    assert [row.split(",")[:2] for row in rows[1:5]] == [
        ["00000001_000.png", "Atelectasis"],
        ["00000001_001.png", "No Finding"],
        ["00000002_000.png", "Cardiomegaly"],
        ["00000002_001.png", "Pneumonia"],
    ]
    other = [row.split(",")[1] for row in rows[2::2]]
    assert {"Effusion|Edema", "Edema|Effusion"} & set(other) and "Infiltration|Hernia" in other
    listing = read(findings)
    assert listing.classes == ("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass")
    assert Counter(e.label for e in listing.examples) == dict.fromkeys(range(5), 3)
    assert all(e.name.endswith("_000.png") and e.pool is None for e in listing.examples)


def test_grey_and_rgba_radiographs_come_out_rgb_exactly(findings):
    listing = read(findings)
    modes = []
    for row, (label, index) in ((3, (3, 0)), (9, (4, 1))):
        example = listing.examples[row]
        assert example.label == label
        modes.append(Image.open(listing.path_of(example)).mode)
        grey = make_picture("chestx", label, index, height=40, width=40, seed=7)[:, :, 0]
        expected = np.stack([grey] * 3, axis=2)
        np.testing.assert_array_equal(np.asarray(listing.open_image(example)), expected)
    assert modes == ["L", "RGBA"]


def test_chestx_may_have_the_table_of_2020_which_has_no_comma_at_the_end(findings):
    before = read(findings).examples
    lines = [line.removesuffix(",") for line in findings.read_text().splitlines()]
    findings.with_name("Data_Entry_2017_v2020.csv").write_text("\n".join(lines) + "\n")
    findings.unlink()
    assert read(findings).examples == before


def test_classes_of_chestx_are_those_that_images_have(findings):
    text = findings.read_text().replace(",Effusion,", ",Pneumothorax,")
    findings.write_text(text)
    listing = read(findings)
    expected = ("Atelectasis", "Cardiomegaly", "Infiltration", "Mass", "Pneumothorax")
    assert listing.classes == expected
    assert listing.examples[2].label == 4


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("00000002_000.png,Cold,0,2,58,M,PA,40,40,0.1,0.1,", "the finding 'Cold' of '.*' is unkn"),
        ("00000002_000.png,Mass|Cold,0,2,58,M,PA,40,40,0.1,0.1,", "the finding 'Cold'"),
        ("00000002_000.png,,0,2,58,M,PA,40,40,0.1,0.1,", "the finding '' of"),
        ("00000002_000.png,Mass", "2 cells, where the header has 11"),
        ("00000001_000.png,Mass|Edema,0,2,58,M,PA,40,40,0.1,0.1,", "twice, first in .*line 2"),
        ("../a.png,Mass,0,2,58,M,PA,40,40,0.1,0.1,", "is not a path under"),
        ("/a.png,Mass,0,2,58,M,PA,40,40,0.1,0.1,", "is not a path under"),
    ],
)
def test_a_row_of_chestx_that_does_not_fit_is_named(line, message, findings):
    edit(findings, 4, line)
    with pytest.raises(DataError, match=rf"Data_Entry_2017\.csv, line 4: .*{message}"):
        read(findings)


def test_a_table_without_its_columns_is_an_error(findings):
    edit(findings, 1, "Image,Finding Labels,a,b,c,d,e,f,g,h,i,")
    with pytest.raises(DataError, match=r"Data_Entry_2017\.csv, line 1: no column 'Image Index'"):
        read(findings)
