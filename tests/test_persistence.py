import io
import pickle
import warnings
from math import inf

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from test_model_files import changed

import skinr
from skinr import SirenRegressor


@pytest.fixture
def fitted(chirp):
    X, y = chirp
    return SirenRegressor((32, 32), max_iter=30, random_state=0).fit(X, y), X


def saved(model, path, **options):
    model.save(path, **options)
    return type(model).load(path)


def assert_same_model(model, copy, X):
    assert copy.get_params() == model.get_params()
    for name in (
        "omega_0_",
        "hidden_omega_0_",
        "best_loss_",
        "n_iter_",
        "n_parameters_",
        "n_outputs_",
        "device_",
    ):
        assert getattr(copy, name) == getattr(model, name)
    assert copy.best_validation_score_ == model.best_validation_score_
    np.testing.assert_array_equal(copy.loss_curve_, model.loss_curve_)
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))
    assert copy.predict(X).dtype == model.predict(X).dtype
    np.testing.assert_array_equal(copy.gradient(X), model.gradient(X))


@settings(max_examples=20)
@given(
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    n_features=st.integers(1, 3),
    n_outputs=st.none() | st.integers(1, 3),
    dtype=st.sampled_from([np.float32, np.float64]),
    options=st.fixed_dictionaries(
        {},
        optional={
            "omega_0": st.floats(0.1, 50),
            "hidden_omega_0": st.floats(0.1, 50),
            "output_activation": st.sampled_from(["identity", "sine"]),
            "early_stopping": st.booleans(),
            "normalize_X": st.booleans(),
            "normalize_y": st.booleans(),
            "loss": st.sampled_from(["huber", "absolute_error"]),
            "batch_size": st.integers(1, 30),
        },
    ),
    seed=st.integers(0, 1000),
)
def test_every_model_comes_back_whole(
    tmp_path_factory, sizes, n_features, n_outputs, dtype, options, seed
):
    random = np.random.default_rng(seed)
    X = random.normal(size=(20, n_features)).astype(dtype)
    y = random.normal(size=20 if n_outputs is None else (20, n_outputs)).astype(dtype)
    model = SirenRegressor(tuple(sizes), max_iter=15, random_state=seed, **options).fit(X, y)
    assert_same_model(model, saved(model, tmp_path_factory.mktemp("m") / "model"), X)


def test_names_of_features(chirp, tmp_path):
    X, y = chirp
    table = pd.DataFrame(X, columns=["time"])
    model = SirenRegressor((8,), max_iter=5, random_state=0).fit(table, y)
    copy = saved(model, tmp_path / "model")
    assert copy.feature_names_in_.tolist() == ["time"]
    assert copy.n_features_in_ == 1
    with pytest.raises(ValueError, match="feature names"):
        copy.predict(table.rename(columns={"time": "space"}))


def test_a_fit_to_derivatives(tmp_path):
    X = np.linspace(0, 1, 30)[:, None]
    model = SirenRegressor((16,), max_iter=30, random_state=0).fit(X, gradient=np.cos(X))
    assert_same_model(model, saved(model, tmp_path / "model"), X)


def test_training_goes_on_from_a_loaded_model(fitted, chirp, tmp_path):
    model, X = fitted
    copy = saved(model, tmp_path / "model")
    for each in (model, copy):
        each.set_params(warm_start=True).fit(*chirp)
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))


def test_a_loaded_model_can_be_saved(fitted, tmp_path):
    model, _ = fitted
    saved(model, tmp_path / "one").save(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_half_precision_costs_what_it_says(fitted, tmp_path):
    model, X = fitted
    assert model.save(tmp_path / "whole") == inf
    psnr = model.save(tmp_path / "half", dtype=np.float16)
    inside = np.linspace(X.min(), X.max(), 10_000)[:, None]
    expected = model.predict(inside)
    error = np.mean((SirenRegressor.load(tmp_path / "half").predict(inside) - expected) ** 2)
    assert psnr == pytest.approx(10 * np.log10(np.ptp(expected) ** 2 / error), abs=1.0)
    assert psnr > 40
    sizes = {name: (tmp_path / name).stat().st_size for name in ("whole", "half")}
    assert sizes["whole"] - sizes["half"] == pytest.approx(2 * model.n_parameters_, abs=16)


def test_a_file_and_a_pickle_are_little_more_than_the_weights(chirp, tmp_path):
    model = SirenRegressor(max_iter=100, random_state=0).partial_fit(*chirp)
    weights = 4 * model.n_parameters_
    model.save(tmp_path / "model")
    assert (tmp_path / "model").stat().st_size < weights + 10_000
    assert len(pickle.dumps(model)) < weights + 10_000


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_a_pickle_has_the_weights_to_the_bit(chirp, n_estimators):
    model = SirenRegressor((16,), omega_0=7.7, max_iter=5, n_estimators=n_estimators).fit(*chirp)
    again = pickle.loads(pickle.dumps(model)).network_.state_dict()
    for name, part in model.network_.state_dict().items():
        assert torch.equal(again[name], part), name


def test_before_a_fit_there_is_nothing_to_save(tmp_path):
    with pytest.raises(NotFittedError):
        SirenRegressor().save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_another_precision(fitted, tmp_path):
    model, _ = fitted
    with pytest.raises(ValueError, match="float32 or float16; "):
        model.save(tmp_path / "model", dtype=np.float64)
    with pytest.raises(ValueError, match=r"dtype must be .*'nonsense'"):
        model.save(tmp_path / "model", dtype="nonsense")
    assert not list(tmp_path.iterdir())


def test_a_parameter_that_is_no_json(fitted, tmp_path):
    model, X = fitted
    model.set_params(random_state=np.random.RandomState(0))
    with pytest.raises(ValueError, match=r"set_params\(random_state="):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
    model.set_params(random_state=0, hidden_layer_sizes=np.array([32, 32]), alpha=np.float32(0))
    copy = saved(model, tmp_path / "model")
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))


def test_weights_too_large_for_half_precision(fitted, tmp_path):
    model, _ = fitted
    with torch.no_grad():
        model.network_.linears[0].weight[0, 0] = 1e6
    with pytest.raises(ValueError, match="up to 65504; the largest of this network is 1e\\+06"):
        model.save(tmp_path / "model", dtype=np.float16)


def test_a_model_of_another_class(fitted, tmp_path):
    class Relative(SirenRegressor):
        pass

    model, _ = fitted
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="it holds a SirenRegressor, not a Relative"):
        Relative.load(tmp_path / "model")


@pytest.mark.parametrize("package", ["skinr", "scikit-learn"])
def test_a_pickle_of_another_version_warns(fitted, monkeypatch, package):
    model, X = fitted
    with monkeypatch.context() as earlier:
        earlier.setattr({"skinr": skinr, "scikit-learn": sklearn}[package], "__version__", "0.0.1")
        content = pickle.dumps(model)
    with pytest.warns(InconsistentVersionWarning, match="0.0.1") as caught:
        copy = pickle.loads(content)
    assert [warning.category for warning in caught].count(InconsistentVersionWarning) == 1
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))


def test_a_pickle_of_this_version_does_not_warn(fitted):
    model, _ = fitted
    with warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        pickle.loads(pickle.dumps(model))


def test_a_pickle_holds_no_buffers_of_training(fitted, chirp):
    model, X = fitted
    pieces = pickle.loads(pickle.dumps(model.partial_fit(*chirp)))
    assert "_adam_state" not in vars(pieces)
    pieces.partial_fit(*chirp)
    assert np.isfinite(pieces.predict(X)).all()


def test_joblib_in_a_pipeline(chirp, tmp_path):
    X, y = chirp
    pipe = make_pipeline(MinMaxScaler(), SirenRegressor((8,), max_iter=5, random_state=0))
    joblib.dump(pipe.fit(X, y), tmp_path / "pipe")
    np.testing.assert_array_equal(joblib.load(tmp_path / "pipe").predict(X), pipe.predict(X))


def test_a_model_from_an_absent_device_loads_on_the_cpu(fitted, tmp_path):
    model, X = fitted
    model.save(tmp_path / "model")
    content = changed((tmp_path / "model").read_bytes(), lambda d, a: d.update(device="cuda:63"))
    (tmp_path / "model").write_bytes(content)
    copy = SirenRegressor.load(tmp_path / "model")
    assert copy.device_ == torch.device("cpu")
    np.testing.assert_allclose(copy.predict(X), model.predict(X), atol=1e-5)


def test_an_open_file_is_no_path(fitted):
    model, _ = fitted
    with pytest.raises(TypeError):
        model.save(io.BytesIO())


def test_what_load_would_refuse_is_not_saved(tmp_path):
    X = np.arange(5.0)[:, None]
    model = SirenRegressor((4,), solver="adam", max_iter=2).fit(X, X[:, 0]).set_params(tol="small")
    with pytest.raises(ValueError, match="'tol' parameter"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
