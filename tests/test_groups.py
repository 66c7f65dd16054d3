from asyncio import CancelledError

import numpy as np
import pytest
import torch

import skinr.racing
import skinr.stacks
from skinr import SirenRegressor
from skinr.fits import Fit
from skinr.groups import fit_group, make_groups

pytestmark = pytest.mark.slow


def make_fits(n_candidates, table, n_folds=2, **parameters):
    """The fits of a grid over omega_0, each fold a part of the rows."""
    X, y = table
    options = {"hidden_layer_sizes": (16,), "solver": "adam", "max_iter": 40, "random_state": 0}
    options.update({"device": "cpu", **parameters})
    return [
        Fit(
            SirenRegressor(omega_0=2.0 + candidate, **options),
            {
                "X": np.delete(X, slice(fold, None, 5), axis=0),
                "y": np.delete(y, slice(fold, None, 5)),
            },
            candidate,
        )
        for candidate in range(n_candidates)
        for fold in range(n_folds)
    ]


@pytest.fixture
def attempts(monkeypatch):
    """The sizes of the stacks that are tried; those above `limit` run out of memory."""
    train = skinr.stacks.train

    class Attempts(list):
        limit, error = np.inf, None

    sizes = Attempts()

    def limited(rows, objective, *args, **kwargs):
        sizes.append(len(objective.stack))
        if len(objective.stack) > sizes.limit:
            rows.targets.fill_(torch.nan)
            kwargs["generators"][0].seed()
            raise sizes.error
        return train(rows, objective, *args, **kwargs)

    monkeypatch.setattr(skinr.stacks, "train", limited)
    return sizes


def test_candidates_stay_together_and_every_worker_has_a_group(chirp):
    fits = make_fits(6, chirp)
    assert make_groups(fits, 1) == [list(range(12))]
    assert make_groups(fits, 2) == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert make_groups(fits, 6) == [[2 * k, 2 * k + 1] for k in range(6)]
    assert make_groups(fits, 100) == make_groups(fits, 6)


def test_groups_are_small_on_a_cpu_and_large_elsewhere(chirp):
    assert [len(group) for group in make_groups(make_fits(15, chirp), 1)] == [16, 14]
    assert [len(group) for group in make_groups(make_fits(15, chirp, device="cuda"), 1)] == [30]


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("MPS backend out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
        MemoryError(),
    ],
    ids=["CUDA", "MPS", "CPU", "Python"],
)
@pytest.mark.parametrize("batch_size", ["auto", 30])
def test_out_of_memory_halves_the_stack_and_goes_on(chirp, attempts, error, batch_size):
    expected = fit_group(make_fits(6, chirp, batch_size=batch_size))
    attempts.clear()
    attempts.limit, attempts.error = 3, error
    outcomes = fit_group(make_fits(6, chirp, batch_size=batch_size))
    assert attempts == [12, 6, 3, 3, 6, 3, 3]
    for outcome, reference in zip(outcomes, expected, strict=True):
        np.testing.assert_allclose(
            outcome.regressor.predict(chirp[0]), reference.regressor.predict(chirp[0]), atol=1e-4
        )


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("something else")])
def test_what_fails_alone_is_left_without_a_fit(chirp, attempts, error):
    attempts.limit, attempts.error = 0, error
    outcomes = fit_group(make_fits(2, chirp))
    assert attempts == [4, 2, 1, 1, 2, 1, 1]
    assert [outcome.regressor for outcome in outcomes] == 4 * [None]


def test_what_nobody_wants_any_more_is_not_tried_again(chirp, attempts):
    attempts.limit, attempts.error = 0, CancelledError()
    with pytest.raises(CancelledError):
        fit_group(make_fits(2, chirp))
    assert attempts == [4]


def test_stacks_are_divided_to_fit_the_memory(chirp, attempts, monkeypatch):
    run = skinr.stacks.Run.begin(make_fits(1, chirp)[0])
    monkeypatch.setattr(skinr.stacks, "CACHE_BYTES", int(5.5 * run.n_bytes))
    fit_group(make_fits(6, chirp))
    assert attempts == [4, 4, 4]


@pytest.mark.parametrize(
    ("hidden_layer_sizes", "batch_size"), [((32, 32), 64), ((128, 128, 128), 2048)]
)
def test_the_estimate_of_the_memory_is_near_what_torch_allocates(hidden_layer_sizes, batch_size):
    """Counted by torch's profiler, as what is allocated and not freed within an update."""
    X = np.random.default_rng(0).uniform(size=(3000, 2))
    regressor = SirenRegressor(
        hidden_layer_sizes,
        omega_0=30,
        batch_size=batch_size,
        max_iter=3,
        device="cpu",
        random_state=0,
    )
    fits = [Fit(regressor, {"X": X, "y": X}, candidate) for candidate in range(4)]
    runs = [skinr.stacks.Run.begin(fit) for fit in fits]
    with torch.profiler.profile(profile_memory=True) as profile:
        skinr.stacks._advance_stack(runs, 0, 3)
    in_use, peak = 0, 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            in_use += event.nbytes()
            peak = max(peak, in_use)
    estimate = sum(run.n_bytes for run in runs)
    assert 0.7 < estimate / peak < 1.6


def test_those_lose_that_fall_behind_at_their_pace():
    earlier = {0: 0.5, 1: 0.2, 2: 0.55, 3: 0.6, 4: -np.inf, 5: 0.5}
    scores = {0: 0.9, 1: 0.5, 2: 0.6, 3: 0.5, 4: 0.0, 5: -np.inf}
    assert skinr.racing._losing(earlier, scores, 3.0) == {2, 3, 5}
    assert skinr.racing._losing({}, scores, 3.0) == {5}
    assert skinr.racing._losing({}, {0: -np.inf, 1: -np.inf}, 3.0) == set()
    assert skinr.racing._losing({0: -np.inf}, {0: -np.inf}, 3.0) == set()


def test_the_worse_half_of_a_race_loses():
    worse_half = skinr.racing.worse_half
    assert worse_half({}) == worse_half({3: [0.5]}) == set()
    assert worse_half({0: [0.9, 0.7], 1: [0.5], 2: [0.7], 5: [-np.inf, 0.9]}) == {1, 5}
    assert worse_half({0: [0.9], 1: [0.5], 2: [0.8]}) == {1}
    assert worse_half({0: [0.9], 1: [0.5], 2: [0.5], 3: [0.1]}) == {3}
