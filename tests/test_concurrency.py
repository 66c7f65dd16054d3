"""The same bits in threads, processes and workers, and none of them in each other's way."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch

from skinr import SirenRegressor

pytestmark = pytest.mark.slow

CONFIGURATIONS = [
    {},
    {"solver": "adam", "batch_size": 50},
    {"solver": "soap", "batch_size": 50},
    {"early_stopping": True, "batch_size": 50},
    {"loss": "huber", "alpha": 1e-4, "output_activation": "sine"},
]

forks = pytest.mark.skipif(torch.cuda.is_available(), reason="a fork can't use CUDA")


@pytest.fixture(autouse=True)
def one_thread():
    """Train with as many threads as a worker has: the number is part of what fixes the bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def predictions(options):
    """Fit and predict, deterministically."""
    X = np.linspace(0, 1, 200)[:, None]
    y = np.sin(20 * X[:, 0] ** 2)
    model = SirenRegressor((32, 32), omega_0=5, max_iter=50, random_state=0, **options)
    return model.fit(X, y).predict(X).tobytes()


def alone():
    """Fit with one thread, as the first thing of a process."""
    torch.set_num_threads(1)
    return [predictions(options) for options in CONFIGURATIONS]


@pytest.fixture(scope="module")
def expected():
    before = torch.get_num_threads()
    found = alone()
    torch.set_num_threads(before)
    return found


def test_twice_in_a_process(expected):
    torch.rand(7)
    np.random.rand(7)
    assert alone() == expected


@pytest.mark.parametrize(
    "backend", ["loky", pytest.param("multiprocessing", marks=forks), "threading"]
)
def test_in_workers_of_joblib(expected, backend):
    jobs = (joblib.delayed(predictions)(options) for options in CONFIGURATIONS)
    assert joblib.Parallel(n_jobs=2, backend=backend)(jobs) == expected


@forks
def test_a_fork_after_torch_has_started_threads(expected):
    torch.set_num_threads(2)
    torch.rand(1000, 1000) @ torch.rand(1000, 1000)
    torch.rand(1_000_000).sin()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        assert list(pool.map(predictions, CONFIGURATIONS)) == expected


def test_eight_threads_predict_with_one_model():
    random = np.random.default_rng(0)
    X = random.uniform(0, 1, (2000, 2))
    model = SirenRegressor((32, 32), max_iter=10, random_state=0).fit(X, X.sum(axis=1))
    pieces = [random.uniform(0, 1, (random.integers(1, 5000), 2)) for _ in range(80)]
    expected = [(model.predict(piece), model.gradient(piece)) for piece in pieces]
    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(model.predict, pieces))
        gradients = list(pool.map(model.gradient, pieces))
    for value, gradient, (its_value, its_gradient) in zip(values, gradients, expected, strict=True):
        np.testing.assert_array_equal(value, its_value)
        np.testing.assert_array_equal(gradient, its_gradient)


def test_fits_in_threads_do_not_meet(expected):
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(predictions, 4 * CONFIGURATIONS)) == 4 * expected
