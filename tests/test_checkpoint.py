import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kills import kill_checkpoints, kill_saves
from sklearn.exceptions import ConvergenceWarning

import skinr.checkpoint
import skinr.training
from skinr import SirenRegressor


def fit(X, y, **options):
    defaults = {"hidden_layer_sizes": (16, 16), "solver": "adam", "max_iter": 60}
    options = {**defaults, "random_state": 0, **options}
    return SirenRegressor(**options).fit(X, y)


def interrupted_fit(X, y, n_updates, **options):
    """Fit until the power fails in the update after so many, with a checkpoint after each."""

    class PowerFailureError(Exception):
        pass

    def step(self, gradient, learning_rate):
        if self.n_updates == n_updates:
            raise PowerFailureError
        original(self, gradient, learning_rate)

    original = skinr.training.Adam.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(skinr.training.Adam, "step", step)
        patch.setattr(skinr.checkpoint, "INTERVAL", 0.0)
        with pytest.raises(PowerFailureError):
            fit(X, y, **options)


@pytest.mark.slow
@settings(max_examples=20)
@given(
    n_updates=st.integers(1, 59),
    options=st.fixed_dictionaries(
        {},
        optional={
            "batch_size": st.integers(10, 250),
            "early_stopping": st.booleans(),
            "learning_rate": st.sampled_from(["constant", "one_cycle"]),
            "learning_rate_init": st.sampled_from([1e-3, 10.0]),
            "alpha": st.just(0.1),
            "loss": st.just("huber"),
            "solver": st.just("soap"),
        },
    ),
)
@pytest.mark.filterwarnings("ignore:Training diverged")
def test_a_fit_goes_on_to_the_same_bits(tmp_path_factory, n_updates, options):
    X = np.linspace(0, 1, 200)[:, None]
    y = np.sin(20 * X[:, 0] ** 2)
    path = tmp_path_factory.mktemp("c") / "fit.checkpoint"
    complete = fit(X, y, **options)
    interrupted_fit(X, y, n_updates, checkpoint=path, **options)
    resumed = fit(X, y, checkpoint=path, **options)
    np.testing.assert_array_equal(resumed.predict(X), complete.predict(X))
    np.testing.assert_array_equal(resumed.loss_curve_, complete.loss_curve_)
    np.testing.assert_array_equal(resumed.validation_scores_, complete.validation_scores_)


def test_a_fit_to_derivatives_goes_on(tmp_path):
    X = np.linspace(0, 1, 50)[:, None]
    path = tmp_path / "fit.checkpoint"
    options = {"hidden_layer_sizes": (16, 16), "max_iter": 40, "random_state": 0}
    complete = SirenRegressor(**options).fit(X, gradient=np.cos(X))
    for max_time in (1e-9, None):
        model = SirenRegressor(checkpoint=path, max_time=max_time, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, gradient=np.cos(X))
    np.testing.assert_array_equal(model.predict(X), complete.predict(X))


def test_a_finished_fit_is_taken_from_its_checkpoint(chirp, tmp_path):
    X, y = chirp
    path = tmp_path / "fit.checkpoint"
    first = fit(X, y, checkpoint=path)
    content = path.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(skinr.training.Adam, "step")
        second = fit(X, y, checkpoint=str(path))
    np.testing.assert_array_equal(second.predict(X), first.predict(X))
    assert path.read_bytes() == content


def test_how_a_fit_is_run_is_no_other_fit(chirp, tmp_path):
    X, y = chirp
    path = tmp_path / "fit.checkpoint"
    with pytest.warns(ConvergenceWarning, match="max_time=1e-09 seconds"):
        assert fit(X, y, checkpoint=path, max_time=1e-9).n_iter_ == 1
    path.rename(tmp_path / "moved")
    assert fit(X, y, checkpoint=tmp_path / "moved", verbose=True).n_iter_ == 60


@pytest.mark.parametrize(
    "change",
    [{"max_iter": 61}, {"random_state": 1}, {"hidden_layer_sizes": (17, 16)}, {"X": 1}, {"y": 1}],
    ids=str,
)
def test_the_checkpoint_of_another_fit(chirp, tmp_path, change):
    X, y = chirp
    path = tmp_path / "fit.checkpoint"
    fit(X, y, checkpoint=path)
    X, y = X + change.pop("X", 0), y * (1 + change.pop("y", 0))
    with pytest.raises(ValueError, match="Delete it, or give checkpoint another path"):
        fit(X, y, checkpoint=path, **change)


def test_a_damaged_checkpoint(chirp, tmp_path):
    path = tmp_path / "fit.checkpoint"
    fit(*chirp, checkpoint=path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        fit(*chirp, checkpoint=path)


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_fit(chirp, tmp_path, monkeypatch):
    X, y = chirp

    def disk_full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.warns(UserWarning, match="No space left on device"):
        model = fit(X, y, checkpoint=tmp_path / "fit.checkpoint")
    assert model.n_iter_ == 60
    assert not list(tmp_path.iterdir())


def test_paths_that_can_be_no_checkpoint(chirp, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "nowhere" / "fit.checkpoint"):
        with pytest.raises(ValueError, match="a folder that exists"):
            fit(*chirp, checkpoint=path)


def test_a_checkpoint_needs_a_fixed_random_state(chirp, tmp_path):
    for random_state in (None, np.random.RandomState(0)):
        with pytest.raises(ValueError, match="an integer random_state"):
            fit(*chirp, checkpoint=tmp_path / "c", random_state=random_state)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kills_during_checkpoints_lose_nothing():
    found = kill_checkpoints(10)
    assert found["equal to the bit"] == found["fits"] > 0


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kills_during_saves_leave_one_model_or_the_other():
    found = kill_saves(30)
    assert found["first model"] + found["second model"] == 30
    assert found["second model"] > 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limits")
@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA reserves memory of its own")
def test_limits_leave_the_old_file_and_no_other():
    script = Path(__file__).parent / "kills.py"
    run = subprocess.run([sys.executable, script, "limits"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "save, files of half the size: OSError" in run.stdout
    assert "load, no more open files: OSError" in run.stdout
    assert "fit of 2,000,000 rows, 32 MB more memory: MemoryError" in run.stdout


def test_equal_parameters_of_another_type_are_the_same_fit(tmp_path):
    X = np.random.default_rng(0).uniform(size=(60, 2))
    options = {"solver": "adam", "max_iter": 20, "checkpoint": tmp_path / "fit"}
    first = SirenRegressor((16, 16), random_state=0, **options).fit(X, X[:, 0])
    again = SirenRegressor([16, np.int64(16)], random_state=np.int64(0), **options).fit(X, X[:, 0])
    np.testing.assert_array_equal(first.predict(X), again.predict(X))
