"""Settings that hold for every test."""

import itertools
import os
import signal
import threading
from math import inf

os.environ["SCIPY_ARRAY_API"] = "1"  # or scikit-learn skips its array API check
os.environ["OMP_NUM_THREADS"] = "1"  # for each of the processes that share the tests

import numpy as np
import pytest
from hypothesis import settings

import skinr.relevance
from skinr.interruption import Interruption

settings.register_profile("skinr", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("skinr")


@pytest.fixture
def chirp():
    """200 rows of one variable, without noise."""
    X = np.linspace(0, 1, 200)[:, None]
    return X, np.sin(20 * X[:, 0] ** 2)


@pytest.fixture
def surface():
    """4096 rows of two variables, without noise."""
    X = np.random.default_rng(0).uniform(-1, 1, (4096, 2))
    return X, np.sin(3 * X[:, 0]) * np.cos(2 * X[:, 1])


@pytest.fixture
def few_rows_for_relevances(monkeypatch):
    """For the sake of time."""
    monkeypatch.setattr(skinr.relevance, "MOST_ROWS", 100)


@pytest.fixture(autouse=True)
def no_earlier_signal(monkeypatch):
    """Let a test's first signal be the first."""
    monkeypatch.setattr(Interruption, "_last_signal_at", -inf)


@pytest.fixture
def ctrl_c_after(monkeypatch):
    """Say after how many looks for one Ctrl-C is pressed."""

    def set_up(n_looks):
        looks = itertools.count()

        def is_due(interruption):
            if next(looks) > n_looks:
                interruption.signal = signal.SIGINT
            return interruption.ended_by is not None

        monkeypatch.setattr(Interruption, "is_due", is_due)

    return set_up


@pytest.fixture
def ctrl_c():
    """Press Ctrl-C half a second after the test began."""
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    yield
    timer.cancel()
