"""Let SIGTERM (from schedulers) and SIGINT (Ctrl-C) end a training run after it has saved a checkpoint."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Note the first signal inside a `with` block. A second signal ends the process at once."""

    def __init__(self) -> None:
        self.asked = False
        self.exit_code = 0
        """128 + the signal's number, as shells report it: 143 for SIGTERM, 130 for SIGINT."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked, self.exit_code = True, 128 + number
        self._restore()
        # Not print(): the signal may have come while the bar is being printed.
        os.write(2, b"\nsaving and ending after this step; once more ends at once\n")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
