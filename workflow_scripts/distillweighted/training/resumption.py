"""Long trainings that can be killed: a checkpoint every few minutes, and one before a polite stop.

A training that goes on from a checkpoint ends with the weights that it would have had anyway.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

log = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
"""What schedulers send before they kill, and Ctrl-C."""

_DIGEST_BYTES = hashlib.sha256().digest_size


class TrainingStopped(RuntimeError):
    """A signal stopped a training; the message says where and what to do."""


class Checkpoint:
    """The state of one training on disk; a context in which signals stop it between two steps.

    In the context, the first signal of `STOP_SIGNALS` makes the next `after_step` save and raise;
    a second one acts as ever.

    Args:
        path: The file. Nothing else may write it.
        key: What the training's result depends on: a checkpoint of another key is not used.
        interval: Seconds between two checkpoints; infinity is for signals alone.
    """

    def __init__(self, path: Path, key: str, *, interval: float):
        self._path, self._key, self._interval = path, key, interval
        self._last = time.monotonic()
        self._asked: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def load(self) -> tuple[int, dict[str, Any]]:
        """How many steps are done, and the state after them; 0 and nothing where there is none.

        Tensors are on the CPU. A checkpoint of another training or a damaged one is as good as
        none; the log says so.
        """
        try:
            content = self._path.read_bytes()
            digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
            if hashlib.sha256(payload).digest() != digest:
                raise ValueError("its checksum is wrong")
            stored = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
            key, step, state = stored["key"], stored["step"], stored["state"]
        except FileNotFoundError:
            return 0, {}
        except (OSError, ValueError, RuntimeError, KeyError, pickle.UnpicklingError) as error:
            log.warning("the checkpoint %s is damaged (%s): not used", self._path, error)
            return 0, {}
        if key != self._key:
            log.info("the checkpoint %s is of other settings or inputs: not used", self._path)
            return 0, {}
        log.info("going on from step %d, from the checkpoint %s", step, self._path)
        return step, state

    def after_step(self, step: int, steps: int, state: Callable[[], dict[str, Any]]) -> None:
        """Save where it is time to, and stop where a signal asked for it.

        The end of a training that was long enough for a checkpoint is saved too: what follows, up
        to `remove`, may be killed as well.

        Args:
            step: The step that has just ended.
            steps: Number of steps.
            state: Gives what to save: tensors, numbers, texts, and lists and dictionaries of them.

        Raises:
            TrainingStopped: Where a signal asked for it.
        """
        due = time.monotonic() - self._last >= self._interval
        due = due or (step == steps and self._path.exists())
        if self._asked is None and not due:
            return
        failure = self._save(step, state())
        if failure is not None:
            log.error("step %d cannot be saved: %s", step, failure)
        if self._asked is not None:
            raise TrainingStopped(
                f"stopped by {self._asked.name} after step {step} of {steps}; "
                + (
                    f"saved in {self._path}: run the same again and it goes on from there"
                    if failure is None
                    else f"it could not be saved ({failure})"
                )
            )

    def remove(self) -> None:
        """Forget the training: its results are safe."""
        for path in (self._path, self._partial):
            path.unlink(missing_ok=True)

    def __enter__(self) -> Checkpoint:
        # Elsewhere signals cannot be caught: they act as ever.
        if threading.current_thread() is threading.main_thread():
            self._previous = {s: signal.signal(s, self._ask) for s in STOP_SIGNALS}
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._restore_signals()
        if self._asked is not None and error is None:  # it came after the last step
            signal.raise_signal(self._asked)

    @property
    def _partial(self) -> Path:
        return self._path.with_name(self._path.name + ".partial")

    def _ask(self, number: int, _frame: object) -> None:
        self._asked = signal.Signals(number)
        self._restore_signals()

    def _restore_signals(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _save(self, step: int, state: dict[str, Any]) -> Exception | None:
        """Write the file; it appears only once it is complete. Returns what went wrong.

        A training does not fail for want of a checkpoint.
        """
        started = time.monotonic()
        payload = io.BytesIO()
        torch.save({"key": self._key, "step": step, "state": state}, payload)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._partial, "wb") as file:
                file.write(hashlib.sha256(payload.getbuffer()).digest())
                file.write(payload.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            self._partial.replace(self._path)
        except OSError as error:
            return error
        finally:
            self._last = time.monotonic()
        log.info("step %d is saved, in %.1f s", step, self._last - started)
        return None
