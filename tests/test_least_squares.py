import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from skinr import SirenRegressor
from skinr.frequency import CANDIDATES

FUNCTIONS = {
    "two sines": lambda X: np.sin(8 * X[:, 0]) + 0.5 * np.cos(21 * X[:, 0]),
    "pole": lambda X: 1 / (1 + 25 * X[:, 0] ** 2),
    "product": lambda X: np.sin(3 * X[:, 0]) * np.cos(2 * X[:, -1]),
}


def rows_of(name, n_rows, *, n_features=1, noise=0.0, seed=0):
    random = np.random.default_rng(seed)
    X = random.uniform(-1, 1, (n_rows, n_features))
    return X, FUNCTIONS[name](X) + noise * random.normal(size=n_rows)


def unexplained(model, name, n_features=1):
    new = np.random.default_rng(99).uniform(-0.98, 0.98, (2000, n_features))
    return 1 - model.score(new, FUNCTIONS[name](new))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two sines", "pole"])
def test_smooth_functions_to_eight_digits(name):
    X, y = rows_of(name, 300, seed=0)
    model = SirenRegressor((64, 64, 64), random_state=0).fit(X, y)
    assert unexplained(model, name) < 1e-8


@pytest.mark.slow
@pytest.mark.parametrize("function", [np.square, np.exp])
def test_a_handful_of_exact_rows(function):
    X, new = (np.linspace(-1, 1, n)[:, None] for n in (6, 300))
    y, truth = function(X[:, 0]), function(new[:, 0])
    models = [SirenRegressor(random_state=random_state).fit(X, y) for random_state in range(3)]
    assert np.median([1 - model.score(new, truth) for model in models]) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("random_state", [1, 3])
@pytest.mark.parametrize(
    ("positions", "values", "expected"),
    [
        ([0, 1], [0, 255], [0, 255]),
        ([0, 1, 2, 3, 4], [3, -1, 2, 2, 9], [3, -1, 2, 2, 9]),
        ([0, 0, 1, 1], [0, 2, 5, 9], [1, 1, 7, 7]),
    ],
)
def test_so_few_rows_show_no_noise(positions, values, expected, random_state):
    X, y = np.array(positions)[:, None], np.array(values)
    model = SirenRegressor(random_state=random_state).fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected, atol=0.01 * np.ptp(y))
    both = SirenRegressor(random_state=random_state).fit(X, np.column_stack([y, -y]))
    np.testing.assert_allclose(both.predict(X)[:, 1], -np.array(expected), atol=0.01 * np.ptp(y))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n_features", "noise"), [("two sines", 1, 0.3), ("pole", 1, 0.03), ("product", 2, 0.3)]
)
def test_noise_is_not_memorised(name, n_features, noise):
    X, y = rows_of(name, 200, n_features=n_features, noise=noise)
    model = SirenRegressor((64, 64, 64), random_state=0).fit(X, y)
    kernel = ConstantKernel() * RBF() + WhiteKernel()
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0).fit(X, y)
    assert np.std(model.predict(X) - y) > 0.7 * noise
    assert unexplained(model, name, n_features) < 2.5 * unexplained(process, name, n_features)


@pytest.mark.slow
@pytest.mark.parametrize(("n_features", "n_rows", "noise"), [(3, 500, 1.0), (2, 700, 2.0)])
def test_noise_larger_than_the_function_is_not_memorised(n_features, n_rows, noise):
    random = np.random.default_rng(n_rows)
    X, new = (random.uniform(0, 1, (n, n_features)) for n in (n_rows, 1000))
    truth, new_truth = (np.sin(6 * part[:, 0]) + part[:, 1] for part in (X, new))
    y = truth + random.normal(0, noise * truth.std(), n_rows)
    model = SirenRegressor((32, 32, 32), random_state=0).fit(X, y)
    assert model.score(new, new_truth) > 0.75


def test_nothing_but_noise_is_predicted_flat():
    random = np.random.default_rng(0)
    X, y = random.uniform(-1, 1, (200, 1)), random.normal(size=200)
    new = np.linspace(-0.95, 0.95, 500)[:, None]
    assert np.std(SirenRegressor(random_state=0).fit(X, y).predict(new)) < 0.4


@pytest.mark.slow
def test_weights_of_inverse_variance_help():
    X, y = rows_of("two sines", 200)
    random = np.random.default_rng(1)
    deviation = np.where(random.uniform(size=200) < 0.5, 0.05, 1.0)
    y = y + deviation * random.normal(size=200)
    model = SirenRegressor(random_state=0)
    plain = unexplained(model.fit(X, y), "two sines")
    weighted = unexplained(model.fit(X, y, sample_weight=deviation**-2), "two sines")
    assert weighted < 0.2 * plain


@pytest.mark.slow
def test_several_outputs_share_a_network():
    X, _ = rows_of("two sines", 100)
    y = np.column_stack([FUNCTIONS["two sines"](X), 1e6 * FUNCTIONS["pole"](X)])
    model = SirenRegressor(random_state=0).fit(X, y)
    new = np.linspace(-0.95, 0.95, 500)[:, None]
    truth = np.column_stack([FUNCTIONS["two sines"](new), 1e6 * FUNCTIONS["pole"](new)])
    assert model.score(new, truth) > 1 - 1e-4


@pytest.mark.parametrize(
    ("n_rows", "options", "expected"),
    [
        (2048, {}, "lm"),
        (2049, {}, "adam"),
        (50, {"loss": "huber"}, "lm"),
        (50, {"loss": "huber", "n_estimators": 2}, "adam"),
        (50, {"loss": "absolute_error"}, "adam"),
        (50, {"alpha": 0.1}, "adam"),
        (50, {"early_stopping": True}, "adam"),
    ],
)
def test_what_auto_takes(n_rows, options, expected):
    X, y = rows_of("pole", n_rows)
    options = {"hidden_layer_sizes": (8, 8), "max_iter": 3, "random_state": 0, **options}
    auto = SirenRegressor(omega_0=3.0, **options).fit(X, y)
    named = SirenRegressor(omega_0=3.0, solver=expected, **options).fit(X, y)
    np.testing.assert_array_equal(auto.predict(X), named.predict(X))


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "absolute_error"},
        {"loss": "huber", "n_estimators": 2},
        {"early_stopping": True},
    ],
    ids=str,
)
def test_what_least_squares_cannot(options):
    X, y = rows_of("pole", 20)
    with pytest.raises(ValueError, match=r"solver='lm' works without .*; set solver='adam'"):
        SirenRegressor(solver="lm", random_state=0, **options).fit(X, y)


def test_tables_whose_matrix_would_not_fit_in_memory():
    X, y = rows_of("pole", 20_001)
    with pytest.raises(ValueError, match="without more than 20000 values and derivatives"):
        SirenRegressor(solver="lm").fit(X, y)


def test_warm_start_goes_on():
    X, y = rows_of("two sines", 100, noise=0.1)
    model = SirenRegressor((32, 32), warm_start=True, max_iter=8, random_state=0).fit(X, y)
    first = model.loss_curve_
    model.fit(X, y)
    assert model.loss_curve_[0] < 0.5 * first[0]
    assert model.omega_0_ in CANDIDATES


def test_a_warm_start_that_has_nothing_to_do():
    X, y = rows_of("two sines", 60)
    model = SirenRegressor((32, 32), warm_start=True, random_state=0).fit(X, y).fit(X, y)
    assert model.n_iter_ == 1
    assert model.best_loss_ < 1e-9


def test_the_penalty_is_for_mini_batches():
    X, y = rows_of("pole", 50)
    model = SirenRegressor((8, 8), solver="lm", max_iter=20, random_state=0)
    expected = model.fit(X, y).predict(X)
    np.testing.assert_array_equal(model.set_params(alpha=0.1).fit(X, y).predict(X), expected)


@pytest.mark.filterwarnings("error")
def test_an_ordinary_table_is_fitted_without_a_warning():
    X, y = rows_of("two sines", 60, noise=0.1)
    SirenRegressor(random_state=0).fit(X, y).predict(X)
