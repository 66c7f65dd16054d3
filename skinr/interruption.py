"""Why a fit ends before its last update: a signal, or the end of its time."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from time import monotonic
from types import FrameType, TracebackType

DEFAULT_HANDLERS = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
"""Signals that end a fit, and the handlers that are replaced for it; a program's own are kept."""

SENDERS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Interruption:
    """Turns the first Ctrl-C or SIGTERM and the end of a time budget into a request to stop.

    A context manager. The second signal has the effect that it always has. Outside of the main
    thread, where Python delivers no signals, the time alone counts.

    Parameters
    ----------
    max_time : float, optional
        Seconds from the start of the context.

    Attributes
    ----------
    reason : str or None
        Why to stop, if there is a reason to.
    """

    def __init__(self, max_time: float | None = None) -> None:
        self._max_time = max_time
        self._signal_name: str | None = None
        self._restoring = ExitStack()

    def __enter__(self) -> Interruption:
        self._start = monotonic()
        for number, default in DEFAULT_HANDLERS.items():
            if signal.getsignal(number) == default:
                self._replace_handler(number)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restoring.close()

    @property
    def reason(self) -> str | None:
        """Why to stop, if there is a reason to."""
        if self._signal_name:
            return self._signal_name
        if self._max_time is not None and monotonic() - self._start >= self._max_time:
            return f"max_time={self._max_time} seconds"
        return None

    def _replace_handler(self, number: signal.Signals) -> None:
        try:
            default = signal.signal(number, self._request_stop)
        except ValueError:  # not in the main thread
            return
        self._restoring.callback(signal.signal, number, default)

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self._signal_name = SENDERS[signal.Signals(number)]
        self._restoring.close()
