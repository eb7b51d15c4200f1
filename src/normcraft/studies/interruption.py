"""Ctrl-C: once lets the running trials finish, twice stops now."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

__all__ = ["Interruption"]


class Interruption:
    """Takes Ctrl-C while a study runs.

    The first one sets `asked`; any further one raises KeyboardInterrupt where the program is. In
    other threads than the main one Python delivers no Ctrl-C, and nothing is changed.

    Args:
        tell: Called at the first one.

    Attributes:
        asked: Whether the study shall stop after the running trials.

    Example:
        >>> with Interruption(lambda: print("finishing")) as interruption:
        ...     signal.raise_signal(signal.SIGINT)
        ...     interruption.asked
        finishing
        True
    """

    def __init__(self, tell: Callable[[], None]) -> None:
        self.asked = False
        self._tell = tell
        self._before: Any = None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._take)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        with suppress(RuntimeError):  # it came in the midst of another line being printed
            self._tell()
