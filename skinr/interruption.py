"""Why a fit ends before its last update: a signal, or the end of its time."""

from __future__ import annotations

import signal
from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from math import inf
from multiprocessing import parent_process
from threading import Event, current_thread, main_thread
from time import monotonic
from types import FrameType, TracebackType

DEFAULT_HANDLERS = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
"""Signals that end a fit, and the handlers that are replaced for it; a program's own are kept."""

SENDERS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}

PATIENCE = 2.0
"""Seconds within which a second signal ends more than one fit of many."""

_ends_of_wholes: ContextVar[tuple[Event, ...]] = ContextVar("ends_of_wholes", default=())
_was_interrupted: ContextVar[Event | None] = ContextVar("was_interrupted", default=None)


@contextmanager
def watched_for_interruptions() -> Iterator[Event]:
    """Yield an event, which is set once a fit in this context has ended before its last update."""
    event = Event()
    token = _was_interrupted.set(event)
    try:
        yield event
    finally:
        _was_interrupted.reset(token)


def note_interruption() -> None:
    """Say that a fit has ended before its last update, to whoever watches for that."""
    event = _was_interrupted.get()
    if event is not None:
        event.set()


@contextmanager
def signals_postponed() -> Iterator[Interruption]:
    """Yield an interruption, whose signal has its usual effect when the context is left.

    Nobody wants to end the pieces of a stream one by one, nor to lose what they have taught.
    """
    interruption = Interruption()
    try:
        with interruption:
            yield interruption
    finally:
        if interruption.signal is not None:
            signal.raise_signal(interruption.signal)


@contextmanager
def parts_of_a_whole() -> Iterator[None]:
    """Leave signals the effect that they always have on the fits in this context.

    Nobody wants to end the fits of a search, or the tiles of an image, one by one, nor to keep one
    that is half learned. An error that ends the context ends the fits that other threads do in a
    copy of it.
    """
    end = Event()
    token = _ends_of_wholes.set((*_ends_of_wholes.get(), end))
    try:
        yield
    except BaseException:
        end.set()
        raise
    finally:
        _ends_of_wholes.reset(token)


class Interruption:
    """Turns a Ctrl-C or SIGTERM and the end of a time budget into a request to stop.

    A context manager. A second signal in the same context, or within `PATIENCE` seconds of one in
    an earlier context, has the effect that it always has: so a loop over fits is stopped by two.
    Workers of a pool are left to the signals of that pool, and threads other than the main one get
    none from Python. There, and in :func:`parts_of_a_whole`, signals are left alone.

    Parameters
    ----------
    max_time : float, optional
        Seconds from the start of the context.

    Attributes
    ----------
    signal : signal.Signals or None
        The one that has come.
    """

    _last_signal_at = -inf

    def __init__(self, max_time: float | None = None) -> None:
        self._max_time = max_time
        self._is_late = False
        self._restoring = ExitStack()
        self.signal: signal.Signals | None = None

    def __enter__(self) -> Interruption:
        self._start = monotonic()
        gets_signals = parent_process() is None and current_thread() is main_thread()
        if gets_signals and not _ends_of_wholes.get():
            for number, default in DEFAULT_HANDLERS.items():
                if signal.getsignal(number) == default:
                    signal.signal(number, self._request_stop)
                    self._restoring.callback(signal.signal, number, default)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restoring.close()

    @property
    def ended_by(self) -> str | None:
        """What ends the fit: a signal, or its time if :meth:`is_due` has found that to be over."""
        if self.signal is not None:
            return SENDERS[self.signal]
        return f"max_time={self._max_time} seconds" if self._is_late else None

    def is_due(self) -> bool:
        """Return whether to stop.

        Raises
        ------
        CancelledError
            Where nobody wants the fit any more.
        """
        if any(end.is_set() for end in _ends_of_wholes.get()):
            raise CancelledError("Another part of the whole has failed.")
        if self._max_time is not None and monotonic() - self._start >= self._max_time:
            self._is_late = True
        return self.ended_by is not None

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        now = monotonic()
        if self.signal is not None or now - Interruption._last_signal_at < PATIENCE:
            self._restoring.close()
            signal.raise_signal(number)
        Interruption._last_signal_at = now
        self.signal = signal.Signals(number)
