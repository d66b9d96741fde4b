"""Order, crops and views of batches: what makes the comparison of students a paired one."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distillweighted.batches import target_batches as module
from distillweighted.batches.fixed_views import FixedViews
from distillweighted.batches.target_batches import IndexStream, TargetBatches
from distillweighted.batches.views import PaddedCrop
from distillweighted.tasks.pools import UniformPool

KINDS = ("labeled", "other labeled size", "unlabeled", "fixed", "strong")


def numbered_images(n, size=8):
    """Images of one colour each: row i has the value i, which no crop changes."""
    return np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, size, size, 3))


def rows_of(images):
    values = images[:, 0, 0, 0]
    assert (images == values[:, None, None, None]).all()
    return values.long()


def target_batches(seed=0, padding=2, images=None):
    """20 images, the even ones labelled with row // 2."""
    rows = np.arange(20)
    images = numbered_images(20) if images is None else images
    view = PaddedCrop(padding)
    fixed = FixedViews(images, view, 3, target="fruit")
    return TargetBatches(
        images, rows[::2], rows[::2] // 2, rows[1::2], view=view, seed=seed, fixed=fixed
    )


def ask(batches, kind, step):
    if kind == "labeled":
        return batches.labeled(4)
    if kind == "other labeled size":
        return batches.labeled(7)
    if kind == "unlabeled":
        return batches.unlabeled(4)
    if kind == "fixed":
        return batches.unlabeled_fixed(4)
    return (batches.unlabeled_strong(4, step),)


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 2**63 - 1))
@settings(max_examples=50)
def test_every_pass_of_a_stream_is_a_permutation(n, size, seed):
    indices = np.arange(100, 100 + n)
    stream, again = IndexStream(indices, size, seed=seed), IndexStream(indices, size, seed=seed)
    drawn = [stream.next() for _ in range(n * 3)]
    assert [len(batch) for batch in drawn] == [size] * (n * 3)
    np.testing.assert_array_equal(drawn, [again.next() for _ in range(n * 3)])
    for one_pass in np.concatenate(drawn).reshape(-1, n):
        np.testing.assert_array_equal(np.sort(one_pass), indices)


def test_passes_and_seeds_differ_in_order():
    stream = IndexStream(np.arange(50), 50, seed=0)
    orders = {tuple(stream.next()) for _ in range(4)}
    orders.add(tuple(IndexStream(np.arange(50), 50, seed=1).next()))
    assert len(orders) == 5


def test_a_stream_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="nothing to draw"):
        IndexStream(np.arange(0), 4, seed=0)


@given(st.permutations(list(KINDS) * 2))
@settings(max_examples=15)
def test_a_step_is_the_same_for_all_who_ask_in_any_order(order):
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    first, second = target_batches(images=images), target_batches(images=images)
    for step in range(1, 4):
        first.next_step()
        second.next_step()
        expected = {kind: ask(first, kind, step) for kind in KINDS}
        for kind in order:
            for tensor, wanted in zip(ask(second, kind, step), expected[kind], strict=True):
                assert torch.equal(tensor, wanted)


def test_steps_and_seeds_give_other_batches():
    batches, other = target_batches(), target_batches(seed=1)
    batches.next_step()
    other.next_step()
    for kind in ("labeled", "unlabeled"):
        first = ask(batches, kind, 1)[0]
        assert not torch.equal(first, ask(other, kind, 1)[0])
    before = rows_of(batches.labeled(10)[0])
    batches.next_step()
    assert not torch.equal(before, rows_of(batches.labeled(10)[0]))


def test_labels_belong_to_the_images():
    batches = target_batches()
    seen = set()
    for _ in range(6):
        batches.next_step()
        images, labels = batches.labeled(4)
        rows = rows_of(images)
        assert torch.equal(labels, rows // 2)
        assert (rows % 2 == 0).all()
        seen |= set(rows.tolist())
    assert seen == set(range(0, 20, 2))


def test_unlabeled_never_yields_a_labelled_row():
    batches = target_batches()
    seen = set()
    for _ in range(6):
        batches.next_step()
        images, rows = batches.unlabeled(4)
        assert torch.equal(rows_of(images), rows)
        seen |= set(rows.tolist())
    assert seen == set(range(1, 20, 2))


def test_normalized_batches_lie_one_after_the_other_and_are_made_once_a_step():
    mean, std = [0.5, 0.25, 0.0], [0.5, 0.25, 0.1]
    batches = target_batches()
    batches.next_step()
    parts = [batches.labeled(3)[0], batches.unlabeled(4)[0]]

    def normalized(*parts):
        return batches.normalized(*parts, mean=mean, std=std, device=torch.device("cpu"))

    expected = (torch.cat(parts).numpy() / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(
        std, (3, 1, 1)
    )
    np.testing.assert_allclose(normalized(*parts).numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(normalized(parts[0]).numpy(), expected[:3], atol=1e-6)
    assert normalized(*parts) is normalized(*parts)


def test_normalized_batches_use_the_memory_of_the_step_before():
    """What that had made is not read again; another size gets memory of its own."""

    def normalized(*parts, mean=0.5):
        return batches.normalized(
            *parts, mean=[mean] * 3, std=[1.0] * 3, device=torch.device("cpu")
        )

    batches, places = target_batches(), []
    for _ in range(3):
        batches.next_step()
        labeled, unlabeled = batches.labeled(3)[0], batches.unlabeled(3)[0]
        floats = [
            normalized(labeled),
            normalized(unlabeled),
            normalized(labeled, mean=0.25),
            normalized(labeled, unlabeled),
        ]
        for found, images, mean in (
            (floats[0], labeled, 0.5),
            (floats[1], unlabeled, 0.5),
            (floats[2], labeled, 0.25),
            (floats[3], torch.cat([labeled, unlabeled]), 0.5),
        ):
            np.testing.assert_allclose(found.numpy(), images.numpy() / 255 - mean, atol=1e-6)
        places.append([values.data_ptr() for values in floats])
    assert len(set(places[0])) == 4 and places[0] == places[1] == places[2]
    batches.next_step()
    assert normalized(batches.labeled(2)[0]).shape == (2, 3, 8, 8)


def test_strong_views_are_of_the_same_rows(monkeypatch):
    monkeypatch.setattr(module, "strong_augmentation", lambda images, *, seed: images)
    batches = target_batches()
    for step in range(1, 4):
        batches.next_step()
        strong = batches.unlabeled_strong(4, step)
        assert torch.equal(rows_of(strong), batches.unlabeled(4)[1])


def test_strong_views_change_with_the_step():
    images = np.broadcast_to(
        np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8), (20, 8, 8, 3)
    )
    batches = target_batches(images=images)
    views = set()
    for step in range(1, 5):
        batches.next_step()
        views.add(batches.unlabeled_strong(4, step).numpy().tobytes())
    assert len(views) == 4


def test_fixed_views_are_of_the_same_images_and_come_with_their_places():
    images = random_images()
    batches = target_batches(images=images)
    views = FixedViews(images, PaddedCrop(2), 3, target="fruit")
    seen = set()
    for _ in range(12):
        batches.next_step()
        shown, places = batches.unlabeled_fixed(4)
        rows, numbers = places % 20, places // 20
        assert torch.equal(rows, batches.unlabeled(4)[1])
        assert torch.equal(shown, views.show(rows.numpy(), numbers.numpy()))
        seen |= set(places.tolist())
    # 48 draws of 30 views: the numbers are drawn for each image by itself, and anew each time.
    assert len(seen) > 20 and {place // 20 for place in seen} == {0, 1, 2}


def test_batches_are_the_same_whether_there_are_fixed_views_or_not():
    images, rows = random_images(), np.arange(20)
    labeled = rows[::2], rows[::2] // 2, rows[1::2]
    plain = TargetBatches(images, *labeled, view=PaddedCrop(2), seed=0)
    other = target_batches(images=images)
    for step in (1, 2):
        for batches in (plain, other):
            batches.next_step()
        other.unlabeled_fixed(4)
        for kind in ("labeled", "unlabeled", "strong"):
            assert all(map(torch.equal, ask(plain, kind, step), ask(other, kind, step)))
    with pytest.raises(ValueError, match="no fixed views of these images"):
        plain.unlabeled_fixed(4)


CPU = torch.device("cpu")


def three_steps(batches, first=1):
    """What is asked for in three steps, and the state after each."""
    seen = []
    for step in range(first, first + 3):
        batches.next_step()
        drawn = [tensor.clone() for kind in KINDS for tensor in ask(batches, kind, step)]
        seen.append((drawn, batches.state()))
    return seen


def assert_same(seen, expected):
    for (drawn, state), (wanted, wanted_state) in zip(seen, expected, strict=True):
        assert all(map(torch.equal, drawn, wanted)) and len(drawn) == len(wanted)
        assert [(one["kind"], one["size"]) for one in state] == [
            (one["kind"], one["size"]) for one in wanted_state
        ]
        for one, other in zip(state, wanted_state, strict=True):
            assert one["crops"] == other["crops"]
            assert one["order"]["rng"] == other["order"]["rng"]
            assert torch.equal(one["order"]["pending"], other["order"]["pending"])


def random_images():
    return np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)


def test_batches_prepared_ahead_are_the_same_and_so_is_what_is_saved():
    """The state is that of what was handed out: after leaving, and in another process too."""
    plain, ahead = (target_batches(images=random_images()) for _ in range(2))
    expected = three_steps(plain)
    with ahead.ahead(CPU):
        assert [thread.name for thread in threading.enumerate()].count("batches_0") == 0
        assert_same(three_steps(ahead), expected)
        assert [thread.name for thread in threading.enumerate()].count("batches_0") == 1
        saved = ahead.state()
    assert [thread.name for thread in threading.enumerate()].count("batches_0") == 0
    later = three_steps(plain, first=4)
    assert_same(three_steps(ahead, first=4), later)
    resumed = target_batches(images=random_images())
    resumed.restore(saved)
    with resumed.ahead(CPU):
        assert_same(three_steps(resumed, first=4), later)


class DamagedAt(UniformPool):
    """A pool that cannot give one batch."""

    def __init__(self, images, number):
        super().__init__(images)
        self.left = number

    def stack(self, rows):
        self.left -= 1
        if self.left == 0:
            raise ValueError(f"rows {list(rows)} are damaged")
        return super().stack(rows)


def test_what_goes_wrong_in_the_thread_is_raised_where_its_batch_is_asked_for():
    def run(batches):
        """Batches, messages and states of five steps of which the third fails."""
        seen = []
        for _ in range(5):
            batches.next_step()
            try:
                seen.append(([batches.labeled(4)[0]], batches.state()))
            except ValueError as error:
                assert "damaged" in str(error)
                seen.append(([], batches.state()))
        assert [len(drawn) for drawn, _ in seen] == [1, 1, 0, 1, 1]
        return seen

    plain, ahead = (target_batches(images=DamagedAt(random_images(), 3)) for _ in range(2))
    expected = run(plain)
    with ahead.ahead(CPU):
        assert_same(run(ahead), expected)


def test_few_batches_are_prepared_and_none_by_a_thread_that_was_left():
    pool = DamagedAt(random_images(), -1)
    batches = target_batches(images=pool)
    with pytest.raises(KeyboardInterrupt), batches.ahead(CPU):
        batches.next_step()
        batches.labeled(4)
        raise KeyboardInterrupt
    made = -1 - pool.left
    assert 1 <= made <= 1 + module.AHEAD
    assert "batches_0" not in [thread.name for thread in threading.enumerate()]
    batches.next_step()
    again = target_batches(images=random_images())
    again.next_step()
    again.labeled(4)
    again.next_step()
    assert torch.equal(batches.labeled(4)[0], again.labeled(4)[0])
