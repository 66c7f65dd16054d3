"""What holds on a GPU alone; the other tests run there too, wherever they leave the device open."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV

import skinr.stacks
import skinr.training
from skinr import SirenRegressor, SirenSearchCV
from skinr.fits import Fit
from skinr.stacks import Run

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]

OMEGAS = {"omega_0": list(np.linspace(1, 12, 40))}


def small(hidden_layer_sizes=(64, 64), **parameters):
    options = {"solver": "adam", "max_iter": 100, "omega_0": 5.0}
    options |= {"random_state": 0, "device": "cuda", **parameters}
    return SirenRegressor(hidden_layer_sizes, **options)


@pytest.fixture
def little_memory(monkeypatch):
    """Leave 256 MiB of the GPU to this process."""
    torch.cuda.empty_cache()
    total = torch.cuda.mem_get_info()[1]
    share = (torch.cuda.memory_reserved() + 2**28) / total
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**28, total))
    torch.cuda.set_per_process_memory_fraction(share)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.fixture
def stacks(monkeypatch):
    """The sizes of the stacks that are trained to their end."""
    sizes = []

    def counting(rows, objective, *args, **kwargs):
        history = train(rows, objective, *args, **kwargs)
        sizes.append(len(objective.stack))
        return history

    train = skinr.stacks.train
    monkeypatch.setattr(skinr.stacks, "train", counting)
    return sizes


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 50},
        {"early_stopping": True},
        {"output_activation": "sine", "loss": "huber", "alpha": 1e-4},
        {"n_estimators": 4, "batch_size": 50},
        {"solver": "soap", "max_iter": 10},
        {"solver": "lm"},
    ],
    ids=str,
)
def test_it_gives_what_the_cpu_gives(chirp, options):
    X, y = chirp
    on_gpu = small(**options).fit(X, y, sample_weight=1 + X[:, 0])
    on_cpu = small(**{**options, "device": "cpu"}).fit(X, y, sample_weight=1 + X[:, 0])
    assert on_gpu.device_.type == "cuda"
    np.testing.assert_allclose(on_gpu.predict(X), on_cpu.predict(X), atol=1e-2)


@pytest.mark.parametrize("n_estimators", [1, 3])
def test_a_pickle_has_its_device_and_leaves_the_model_on_its_own(chirp, n_estimators):
    X, y = chirp
    model = small(n_estimators=n_estimators).fit(X, y)
    expected = model.predict(X)
    again = pickle.loads(pickle.dumps(model))
    for each in (model, again):
        assert all(part.is_cuda for part in each.network_.parameters())
        np.testing.assert_array_equal(each.predict(X), expected)


@pytest.mark.parametrize("solver", ["adam", "soap"])
def test_updates_do_not_wait_for_the_gpu(chirp, monkeypatch, solver):
    accept_first, to_array = skinr.training.Safeguard.accept_first, skinr.training._to_array

    def begin(self, losses):
        accept_first(self, losses)
        torch.cuda.set_sync_debug_mode("error")

    def end(tensor):
        torch.cuda.set_sync_debug_mode("default")
        return to_array(tensor)

    small(solver=solver, batch_size=50, max_iter=5).fit(*chirp)
    monkeypatch.setattr(skinr.training.Safeguard, "accept_first", begin)
    monkeypatch.setattr(skinr.training, "_to_array", end)
    try:
        small(solver=solver, batch_size=50).fit(*chirp)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_one_stack_takes_the_whole_grid(chirp, stacks):
    search = SirenSearchCV(small(), OMEGAS, cv=3).fit(*chirp)
    reference = GridSearchCV(small(), OMEGAS, cv=3).fit(*chirp)
    assert stacks == [120]
    scores, others = (each.cv_results_["mean_test_score"] for each in (search, reference))
    np.testing.assert_allclose(np.sort(scores)[-10:], np.sort(others)[-10:], atol=1e-2)


@pytest.mark.usefixtures("little_memory")
def test_a_grid_is_split_to_fit_the_memory(chirp, stacks):
    SirenSearchCV(small((128,) * 4, max_iter=10), OMEGAS, cv=3, refit=False).fit(*chirp)
    assert sum(stacks) == 120
    assert len(stacks) > 1


@pytest.mark.usefixtures("little_memory")
def test_a_stack_that_does_not_fit_is_halved(chirp, stacks, monkeypatch):
    monkeypatch.setattr(skinr.stacks, "SHARE_OF_MEMORY", 1e6)
    search = SirenSearchCV(small((128,) * 4, max_iter=10), OMEGAS, cv=3, refit=False).fit(*chirp)
    assert sum(stacks) == 120
    assert len(stacks) > 1
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("n_rows", [300, 20_000])
def test_the_memory_of_a_stack_is_known(n_rows):
    X = np.linspace(0, 1, n_rows)[:, None]
    fits = [Fit(small((128,) * 4), {"X": X, "y": np.sin(9 * X[:, 0])}, 0) for _ in range(20)]
    runs = [Run.begin(fit) for fit in fits]
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    skinr.stacks.advance(runs, 0, 20)
    assert torch.cuda.max_memory_allocated() - before < 1.25 * sum(run.n_bytes for run in runs)


def test_many_positions_are_evaluated_as_few_are(chirp):
    model = small().fit(*chirp)
    X = np.linspace(0, 1, 300_000)[:, None]
    expected = [model.predict(part) for part in np.array_split(X, 400)]
    np.testing.assert_allclose(model.predict(X), np.concatenate(expected), atol=1e-5)
    expected = [model.gradient(part) for part in np.array_split(X, 400)]
    np.testing.assert_allclose(model.gradient(X), np.concatenate(expected), atol=1e-3)
