import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skinr import SirenRegressor, SirenSearchCV
from skinr.ensemble import SirenEnsemble, members_of, to_network, to_stack

FAST = {"hidden_layer_sizes": (16, 16), "omega_0": 4.0, "random_state": 0}
SOLVERS = {
    "lm": {"solver": "lm", "n_estimators": 3},
    "adam": {"solver": "adam", "max_iter": 100, "n_estimators": 3},
    "early stopping": {
        "solver": "adam",
        "max_iter": 100,
        "n_estimators": 3,
        "early_stopping": True,
    },
    "mini-batches": {"solver": "adam", "max_iter": 100, "n_estimators": 3, "batch_size": 16},
}


@pytest.fixture(params=SOLVERS)
def model(request):
    return SirenRegressor(**FAST, **SOLVERS[request.param])


@pytest.fixture
def noisy():
    random = np.random.default_rng(0)
    X = random.uniform(10, 14, (60, 2)).astype(np.float64)
    return X, np.sin(X[:, 0]) * X[:, 1] + random.normal(0, 0.5, 60)


def assert_same(model, other, X):
    for ours, others in zip(
        model.predict(X, return_std=True), other.predict(X, return_std=True), strict=True
    ):
        np.testing.assert_array_equal(ours, others)


def test_the_same_random_state_gives_the_same_bits_and_another_another(model, noisy):
    X, y = noisy
    again = clone(model).fit(X, y)
    assert_same(model.fit(X, y), again, X)
    assert (clone(model).set_params(random_state=1).fit(X, y).predict(X) != again.predict(X)).any()


def test_the_module_is_the_mean_of_members_that_differ(model, noisy):
    X, y = noisy
    network = model.fit(X, y).network_
    assert isinstance(network, SirenEnsemble)
    assert len(network.members) == 3
    assert sum(part.numel() for part in network.parameters()) == model.n_parameters_
    normalized = (X - (X.min(0) + X.max(0)) / 2) / (np.ptp(X, 0) / 2)
    coordinates = torch.tensor(normalized, dtype=torch.float32, device=model.device_)
    with torch.no_grad():
        members = torch.stack([member(coordinates)[:, 0] for member in network]).cpu()
        mean = network(coordinates)[:, 0].cpu().numpy()
    assert members.std(dim=0).median() > 1e-3
    np.testing.assert_allclose(mean, members.mean(dim=0), atol=1e-6)
    np.testing.assert_allclose(mean * y.std() + y.mean(), model.predict(X), atol=1e-4)
    assert len({tuple(member.linears[0].weight[0].tolist()) for member in network}) == 3


def test_a_stack_and_its_network_are_each_the_other(noisy):
    X, y = noisy
    network = SirenRegressor(**FAST, **SOLVERS["lm"]).fit(X, y).network_
    again = to_network(to_stack(network))
    for name, part in network.state_dict().items():
        torch.testing.assert_close(part, again.state_dict()[name])
    assert isinstance(to_network(to_stack(members_of(network)[0])), type(members_of(network)[0]))


def test_derivatives_are_those_of_the_mean(model, noisy):
    X, y = noisy
    model.fit(X, y)
    step = 1e-3
    gradient = model.gradient(X, dtype=np.float64)
    for j in range(2):
        shift = step * np.eye(2)[j]
        difference = (model.predict(X + shift) - model.predict(X - shift)) / (2 * step)
        np.testing.assert_allclose(gradient[:, j], difference, atol=0.01 * np.abs(gradient).max())
    trace = np.trace(model.hessian(X, dtype=np.float64), axis1=1, axis2=2)
    np.testing.assert_allclose(model.laplacian(X, dtype=np.float64), trace, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(model.predict(X, return_gradient=True)[0].shape, y.shape)


def test_predictions_with_deviations_are_those_without(model, noisy):
    X, y = noisy
    model.fit(X, y)
    np.testing.assert_array_equal(model.predict(X, return_std=True)[0], model.predict(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_outputs_and_dtypes(model, noisy, dtype):
    X, y = noisy
    targets = np.c_[y, 3 * y, X[:, 0]].astype(dtype)
    model.fit(X, targets)
    mean, std = model.predict(X[:7], return_std=True)
    assert mean.shape == std.shape == (7, 3)
    assert mean.dtype == std.dtype == dtype
    assert model.noise_.shape == (3,)
    assert model.noise_[0] > 2 * model.noise_[2]
    assert model.noise_[1] == pytest.approx(3 * model.noise_[0], rel=0.5)
    assert (std >= 0.999 * model.noise_).all()


def test_files_and_pickles_bring_it_back(model, noisy, tmp_path):
    X, y = noisy
    model.fit(X, y)
    assert model.save(tmp_path / "model") == np.inf
    loaded = SirenRegressor.load(tmp_path / "model")
    for copy in (loaded, pickle.loads(pickle.dumps(model))):
        assert_same(model, copy, X)
        np.testing.assert_array_equal(copy.noise_, model.noise_)
        assert copy.n_parameters_ == model.n_parameters_
    psnr = model.save(tmp_path / "half", dtype=np.float16)
    assert 30 < psnr < 120
    assert (tmp_path / "half").stat().st_size < (tmp_path / "model").stat().st_size


def test_activations_of_members_are_side_by_side(model, noisy):
    X, y = noisy
    layers = model.fit(X, y).layer_activations(X)
    assert [after.shape for _, after in layers] == [(60, 48), (60, 48), (60, 1)]
    np.testing.assert_allclose(layers[0][1], np.sin(layers[0][0]), atol=1e-5)


def test_warm_start_goes_on_with_every_member(noisy):
    X, y = noisy
    model = SirenRegressor(**FAST, **SOLVERS["adam"], warm_start=True).fit(X, y)
    first = model.loss_curve_
    assert model.fit(X, y).loss_curve_[0] < 0.5 * first[0]
    assert len(model.network_.members) == 3
    with pytest.raises(ValueError, match="if it was interrupted, is 3, and"):
        model.set_params(n_estimators=4).fit(X, y)


def test_warm_start_by_least_squares_keeps_what_sets_members_apart(noisy):
    X, y = noisy
    model = SirenRegressor(**FAST, **SOLVERS["lm"], warm_start=True).fit(X, y)
    far = X + np.array([0.0, 6.0])
    before, width = model.predict(X), model.predict(far, return_std=True)[1]
    model.fit(X, y)
    assert np.abs(model.predict(X) - before).max() < 0.1 * before.std()
    assert (model.predict(far, return_std=True)[1] > 0.5 * width).mean() > 0.9


def test_a_stream_trains_every_member(noisy):
    X, y = noisy
    model = SirenRegressor(**FAST, **SOLVERS["mini-batches"], learning_rate_init=1e-2)
    for _ in range(60):
        model.partial_fit(X, y)
    assert len(model.network_.members) == 3
    assert model.score(X, y) > 0.8
    assert 0 < model.noise_[0] < 2


@pytest.mark.parametrize("n_rows", [1, 4])
def test_a_small_piece_leaves_the_noise_as_it_was_known(noisy, n_rows):
    X, y = noisy
    model = SirenRegressor(**FAST, **SOLVERS["lm"]).fit(X, y)
    noise = model.noise_
    model.partial_fit(X[:n_rows], y[:n_rows])
    np.testing.assert_allclose(model.noise_, noise, rtol=0.1)
    model.partial_fit(X[:n_rows], gradient=np.zeros((n_rows, 2)))
    np.testing.assert_allclose(model.noise_, noise, rtol=0.1)


@pytest.mark.slow
def test_a_stream_of_small_pieces_shows_the_noise():
    random = np.random.default_rng(0)
    model = SirenRegressor((16, 16), n_estimators=4, random_state=0, learning_rate_init=3e-3)
    for _ in range(400):
        X = random.uniform(-1, 1, (20, 1))
        model.partial_fit(X, np.sin(3 * X[:, 0]) + random.normal(0, 0.3, 20))
    assert 0.2 < model.noise_[0] < 0.45


def test_a_checkpoint_goes_on_to_the_same_bits(noisy, tmp_path):
    X, y = noisy
    model = SirenRegressor(**FAST, **SOLVERS["mini-batches"])
    whole = clone(model).fit(X, y)
    model.set_params(checkpoint=tmp_path / "fit")
    with pytest.warns(ConvergenceWarning, match="max_time"):
        clone(model).set_params(max_time=1e-9).fit(X, y)
    assert_same(model.fit(X, y), whole, X)


@pytest.mark.parametrize("solver", ["lm", "adam"])
def test_time_ends_it_with_a_usable_model(noisy, solver):
    X, y = noisy
    model = SirenRegressor(**FAST, **SOLVERS[solver], max_time=1e-9)
    with pytest.warns(ConvergenceWarning, match="max_time"):
        model.fit(X, y)
    assert np.isfinite(model.predict(X)).all()


def test_a_search_fits_ensembles_one_by_one(noisy):
    X, y = noisy
    grid = {"n_estimators": [1, 2], "omega_0": [2.0, 4.0]}
    regressor = SirenRegressor(
        (16, 16), solver="adam", max_iter=60, learning_rate_init=1e-2, random_state=0
    )
    ours = SirenSearchCV(regressor, grid, cv=3).fit(X, y)
    theirs = GridSearchCV(regressor, grid, cv=3).fit(X, y)
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-3
    )
    assert ours.best_params_ == theirs.best_params_


def test_fits_to_derivatives(noisy):
    X, _ = noisy
    values, slopes = np.sin(X[:, 0]), np.c_[np.cos(X[:, 0]), np.zeros(60)]
    model = SirenRegressor(**FAST, n_estimators=3, max_iter=500).fit(X, values, gradient=slopes)
    assert model.score(X, values) > 0.95
    assert model.noise_[0] < 0.1
    alone = model.fit(X, gradient=slopes)
    assert alone.noise_[0] == 0
    assert (alone.predict(X, return_std=True)[1] > 0).all()
