import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import monotonic

import numpy as np
import pytest

import skinr.interruption
from skinr.interruption import Interruption, signals_postponed

SIGNALS = pytest.mark.parametrize(
    ("number", "sender"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")]
)


@SIGNALS
def test_the_first_signal_is_a_request(number, sender):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert not interruption.is_due()
        assert interruption.ended_by is None
        signal.raise_signal(number)
        assert interruption.is_due()
    assert interruption.ended_by == sender
    assert signal.getsignal(number) == before


def raise_twice(number):
    signal.raise_signal(number)
    signal.raise_signal(number)


def test_the_second_signal_is_not_held_back():
    with pytest.raises(KeyboardInterrupt), Interruption():
        raise_twice(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_two_signals_in_short_order_end_a_search_of_short_fits():
    with Interruption():
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Interruption():
        signal.raise_signal(signal.SIGINT)


def test_two_signals_far_apart_end_a_fit_each(monkeypatch):
    monkeypatch.setattr(skinr.interruption, "PATIENCE", 0.0)
    for _ in range(2):
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGINT)
            assert interruption.is_due()


def signal_that_ends(function):
    """Call a function in a process of its own."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        function()
        os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def test_a_second_sigterm_kills():
    def twice():
        with Interruption():
            raise_twice(signal.SIGTERM)

    assert signal_that_ends(twice) == signal.SIGTERM


def test_postponed_signals_come_when_what_they_would_cut_short_is_done():
    done = []

    def once(number):
        with signals_postponed() as interruption:
            signal.raise_signal(number)
            done.append(interruption.is_due())

    with pytest.raises(KeyboardInterrupt):
        once(signal.SIGINT)
    assert done == [True]
    assert signal_that_ends(lambda: once(signal.SIGTERM)) == signal.SIGTERM


def test_a_handler_of_the_program_is_kept():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *arguments: seen.append(arguments))
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGINT)
            assert not interruption.is_due()
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(seen) == 1


def test_the_time_is_over():
    start = monotonic()
    with Interruption(max_time=0.01) as interruption:
        assert not interruption.is_due()
        while not interruption.is_due():
            assert monotonic() - start < 10
    assert interruption.ended_by == "max_time=0.01 seconds"


def test_in_a_thread_the_time_counts():
    reasons = []

    def run():
        with Interruption(max_time=1e-9) as interruption:
            interruption.is_due()
            reasons.append(interruption.ended_by)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert reasons == ["max_time=1e-09 seconds"]


def handlers_within():
    with Interruption():
        return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.slow
def test_workers_are_left_to_their_pool():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        here = pool.submit(handlers_within).result()
    np.testing.assert_array_equal(here, [signal.default_int_handler, signal.SIG_DFL])
