"""Independent fits side by side, in threads that share torch's."""

import threading
from asyncio import CancelledError
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from time import monotonic, sleep

import numpy as np
import pytest
import sklearn
import torch

from skinr import SirenRegressor, SirenSearchCV
from skinr.interruption import Interruption
from skinr.threads import MOST_THREADS, count_threads, map_in_threads

pytestmark = pytest.mark.slow

OMEGAS = {"omega_0": [2.0, 6.0, 12.0]}
WIDE = (128, 128, 128)


@pytest.fixture(autouse=True)
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    after = torch.get_num_threads()
    torch.set_num_threads(before)
    assert after == 4


def small(**parameters):
    options = {"hidden_layer_sizes": (16,), "solver": "adam", "max_iter": 100, "random_state": 0}
    return SirenRegressor(**{**options, **parameters})


@pytest.mark.parametrize(("n_threads", "n_each"), [(1, 4), (2, 2), (3, 1), (4, 1)])
def test_results_keep_their_order_and_threads_are_shared(n_threads, n_each):
    def work(item):
        sleep(0.05 * (5 - item))
        return item, torch.get_num_threads(), threading.get_ident()

    items, shares, idents = zip(*map_in_threads(work, range(5), n_threads), strict=True)
    assert items == (0, 1, 2, 3, 4)
    assert set(shares) == {n_each}
    assert len(set(idents)) == n_threads


@pytest.mark.parametrize(("depth", "n_each"), [(1, 2), (2, 1)], ids=["one map", "maps in a map"])
def test_a_thread_that_begins_meanwhile_has_no_share(depth, n_each):
    all_run = threading.Barrier(2**depth, timeout=20)

    def count_elsewhere():
        with ThreadPoolExecutor(1) as another:
            return another.submit(torch.get_num_threads).result()

    def work(level):
        if level > 0:
            return list(chain(*map_in_threads(work, 2 * [level - 1], 2)))
        all_run.wait()
        return [(torch.get_num_threads(), count_elsewhere())]

    assert work(depth) == 2**depth * [(n_each, 4)]
    assert count_elsewhere() == 4


def test_more_threads_than_torch_has_have_one_each():
    torch.set_num_threads(1)
    shares = map_in_threads(lambda _: torch.get_num_threads(), range(2), 2)
    torch.set_num_threads(4)
    assert shares == [1, 1]


def test_threads_are_few_where_cores_are_many():
    torch.set_num_threads(64)
    assert count_threads() == MOST_THREADS
    torch.set_num_threads(4)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_configuration_of_scikit_learn_holds_in_threads(n_threads):
    with sklearn.config_context(assume_finite=True):
        assumed = map_in_threads(lambda _: sklearn.get_config()["assume_finite"], [0, 1], n_threads)
    assert assumed == [True, True]


def run_until_the_end():
    with Interruption(max_time=10.0) as interruption:
        while not interruption.is_due():
            sleep(0.01)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_error_ends_what_runs_and_nothing_more_begins(n_threads):
    begun, ended = [], []

    def work(item):
        begun.append(item)
        if item == 0:
            sleep(0.1)
            raise ValueError("bad")
        with pytest.raises(CancelledError):
            run_until_the_end()
        ended.append(item)

    with pytest.raises(ValueError, match="bad"):
        map_in_threads(work, range(20), n_threads)
    assert sorted(ended) == sorted(begun[1:])
    assert n_threads <= len(begun) <= n_threads + 1


@pytest.mark.parametrize("is_nested", [False, True])
def test_an_error_ends_what_began_before_it(is_nested):
    all_run, ended = threading.Barrier(3 if is_nested else 2, timeout=20), []

    def run(_):
        all_run.wait()
        with pytest.raises(CancelledError):
            run_until_the_end()
        ended.append(True)

    def work(item):
        if item == 1:
            all_run.wait()
            raise ValueError("bad")
        map_in_threads(run, range(all_run.parties - 1), 2)

    with pytest.raises(ValueError, match="bad"):
        map_in_threads(work, range(2), 2)
    assert ended == [True] * (all_run.parties - 1)


def search(table, regressor, **parameters):
    return SirenSearchCV(regressor, OMEGAS, cv=2, **parameters).fit(*table)


@pytest.mark.parametrize("racing", [False, True])
@pytest.mark.parametrize(
    "regressor",
    [
        small(hidden_layer_sizes=WIDE),
        small(),
        small(early_stopping=True),
        small(solver="lm", max_iter=20),
    ],
    ids=["stacks", "one stack", "one by one", "least squares"],
)
def test_a_search_in_threads_comes_to_the_same(chirp, regressor, racing):
    found = search(chirp, regressor, racing=racing)
    torch.set_num_threads(1)
    expected = search(chirp, regressor, racing=racing)
    torch.set_num_threads(4)
    scores, others = (s.cv_results_["mean_test_score"] for s in (found, expected))
    np.testing.assert_allclose(scores, others, atol=1e-4)
    assert found.best_params_ == expected.best_params_


def test_a_failing_fit_leaves_the_others_alone(chirp):
    grid = {"omega_0": [-1.0, 3.0, 6.0], "early_stopping": [False, True]}
    with pytest.warns(Warning, match="4 fits failed"):
        found = SirenSearchCV(small(), grid, cv=2).fit(*chirp)
    assert np.isfinite(found.cv_results_["mean_test_score"]).tolist() == 2 * [False, True, True]


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_all_threads(chirp, early_stopping):
    endless = small(
        hidden_layer_sizes=WIDE,
        early_stopping=early_stopping,
        max_iter=1_000_000,
        n_iter_no_change=1_000_000,
    )
    start, n_before = monotonic(), threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        search(chirp, endless)
    assert monotonic() - start < 20
    assert threading.active_count() <= n_before
