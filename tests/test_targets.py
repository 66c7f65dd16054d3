import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.stats import qmc
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skinr import SirenRegressor


def small(**parameters):
    return SirenRegressor(
        **{"hidden_layer_sizes": (32, 32), "max_iter": 300, "random_state": 0, **parameters}
    )


def two_sines(X):
    """A function of one variable with its first two derivatives."""
    x = X[:, 0]
    values = np.sin(4 * x) + 0.5 * np.cos(11 * x)
    slopes = 4 * np.cos(4 * x) - 5.5 * np.sin(11 * x)
    return values, slopes[:, None], -16 * np.sin(4 * x) - 60.5 * np.cos(11 * x)


def error(model, center=False):
    """Share of the variance of two_sines that is not explained between the rows."""
    at = np.linspace(-1, 1, 1001)[:, None]
    residual = model.predict(at) - two_sines(at)[0]
    return np.mean((residual - center * residual.mean()) ** 2) / two_sines(at)[0].var()


X = np.linspace(-1, 1, 40)[:, None]
VALUES, SLOPES, CURVATURES = two_sines(X)
ENDS = np.where(np.isin(np.arange(40), [0, 39]), VALUES, np.nan)
ANCHOR = np.where(np.arange(40) == 7, VALUES, np.nan)
NOWHERE = np.full_like(SLOPES, np.nan)


def test_slopes_alone_give_the_function_but_for_a_constant_with_mean_0():
    model = SirenRegressor(random_state=0).fit(X, gradient=SLOPES)
    assert error(model, center=True) < 1e-5
    assert abs(model.predict(X).mean()) < 1e-5
    assert model.score(X, gradient=SLOPES) > 0.9999
    assert model.predict(X).shape == (40,)


@pytest.mark.filterwarnings("error")
def test_scores_of_derivatives_know_the_names_of_features():
    table = pd.DataFrame(X, columns=["x"])
    options = {"hidden_layer_sizes": 4, "solver": "adam", "max_iter": 2}
    model = SirenRegressor(**options).fit(table, VALUES)
    assert np.isfinite(model.score(table, VALUES, gradient=SLOPES, laplacian=CURVATURES))


def test_slopes_along_the_same_features_in_another_order_are_refused():
    X = np.random.default_rng(0).uniform(size=(30, 2))
    table = pd.DataFrame(X, columns=["a", "b"])
    slopes = pd.DataFrame(np.tile([1.0, 2.0], (30, 1)), columns=["a", "b"])
    y, swapped = X @ [1, 2], slopes[["b", "a"]]
    regressor = SirenRegressor(4, solver="adam", max_iter=2, random_state=0)
    message = r"gradient has the columns \['b', 'a'\], and X \['a', 'b'\]"
    with pytest.raises(ValueError, match=message):
        regressor.fit(table, y, gradient=swapped)
    model = regressor.fit(table, y, gradient=slopes)
    with pytest.raises(ValueError, match=message):
        model.score(table, gradient=swapped)
    renamed = slopes.set_axis(["dy/da", "dy/db"], axis=1)
    scores = [model.score(table, gradient=each) for each in (slopes, renamed, slopes.values)]
    assert scores == scores[:1] * 3


def test_one_known_value_settles_the_constant():
    model = SirenRegressor(random_state=0).fit(X, ANCHOR, gradient=SLOPES)
    assert error(model) < 1e-5
    assert model.predict(X)[7] == pytest.approx(VALUES[7], abs=1e-3)


@pytest.mark.slow
def test_curvatures_with_values_at_the_ends_give_the_function():
    model = SirenRegressor(solver="adam", random_state=0).fit(X, ENDS, laplacian=CURVATURES)
    assert error(model) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kinds", "highest"),
    [
        ({"y": VALUES, "gradient": SLOPES}, 1e-8),
        ({"gradient": SLOPES}, 1e-7),
        ({"y": ENDS, "laplacian": CURVATURES}, 1e-4),
    ],
    ids=["values and slopes", "slopes", "curvatures"],
)
def test_small_tables_are_exact(kinds, highest):
    model = SirenRegressor(random_state=0).fit(X, **kinds)
    assert error(model, center="y" not in kinds) < highest


@pytest.mark.slow
def test_rows_that_know_nothing_do_not_count():
    more = np.vstack([X, X + 0.01])[:-1]
    nothing = np.full((39, 1), np.nan)
    values, slopes = np.vstack([VALUES[:, None], nothing])[:, 0], np.vstack([SLOPES, nothing])
    model = small(solver="lm").fit(more, values, gradient=slopes)
    without = small(solver="lm").fit(X, VALUES, gradient=SLOPES)
    np.testing.assert_allclose(model.predict(more), without.predict(more), atol=1e-3)


@pytest.mark.parametrize(
    ("n_rows", "kinds", "options", "expected"),
    [
        (250, ["y", "gradient"], {}, "lm"),
        (251, ["y", "gradient"], {}, "adam"),
        (251, ["y", "gradient"], {"gradient_weight": 0.0}, "lm"),
        (500, ["gradient"], {}, "lm"),
        (250, ["laplacian"], {}, "lm"),
        (251, ["laplacian"], {}, "adam"),
    ],
)
def test_what_auto_takes(n_rows, kinds, options, expected):
    at = np.linspace(-1, 1, n_rows)[:, None]
    targets = dict(zip(["y", "gradient", "laplacian"], two_sines(at), strict=True))
    targets = {kind: targets[kind] for kind in kinds}
    options = {"hidden_layer_sizes": (8, 8), "max_iter": 3, "omega_0": 3.0, **options}
    auto = small(**options).fit(at, **targets)
    named = small(solver=expected, **options).fit(at, **targets)
    np.testing.assert_array_equal(auto.predict(at), named.predict(at))


@pytest.mark.parametrize("solver", ["lm", "adam"])
@pytest.mark.parametrize(
    ("options", "targets"),
    [
        ({"gradient_weight": 0}, {"gradient": SLOPES}),
        ({"laplacian_weight": 0}, {"laplacian": CURVATURES}),
        ({}, {"y": ANCHOR, "gradient": NOWHERE, "sample_weight": np.isnan(ANCHOR)}),
    ],
    ids=["gradient", "laplacian", "rows"],
)
def test_something_has_to_be_of_weight(solver, options, targets):
    with pytest.raises(ValueError, match=r"Nothing to fit: .* weight of 0"):
        small(solver=solver, **options).fit(X, **targets)


def test_the_weight_of_the_gradient_settles_contradictions():
    wrong = [
        error(small(solver="lm", gradient_weight=weight).fit(X, VALUES, gradient=-SLOPES))
        for weight in [1e-3, 1.0]
    ]
    assert wrong[0] < 0.1 * wrong[1]


def test_a_laplacian_alone_keeps_to_what_it_implies():
    grid = np.stack(np.meshgrid(*2 * [np.linspace(-1, 1, 9)]), axis=-1).reshape(-1, 2)
    square = (grid**2).sum(axis=1)
    values, laplacian = np.exp(-4 * square), (64 * square - 16) * np.exp(-4 * square)
    model = small(solver="lm").fit(grid, laplacian=laplacian)
    assert np.var(model.predict(grid) - values) < 0.05 * values.var()


def test_slopes_are_worth_more_than_as_many_rows_again_in_two_variables():
    def errors(n_rows, slopes):
        x, y = (2 * qmc.Sobol(2, seed=0).random(n_rows) - 1).T
        values, at = np.sin(6 * x) * np.cos(4 * y), np.column_stack([x, y])
        gradient = [6 * np.cos(6 * x) * np.cos(4 * y), -4 * np.sin(6 * x) * np.sin(4 * y)]
        gradient = np.column_stack(gradient) if slopes else None
        model = SirenRegressor((64, 64, 64), random_state=0).fit(at, values, gradient=gradient)
        new = np.random.default_rng(0).uniform(-1, 1, (1000, 2))
        return 1 - model.score(new, np.sin(6 * new[:, 0]) * np.cos(4 * new[:, 1]))

    assert errors(32, slopes=True) < errors(64, slopes=False)


@pytest.mark.slow
def test_slopes_are_worth_as_many_rows_again():
    few, many = np.linspace(-1, 1, 12)[:, None], np.linspace(-1, 1, 24)[:, None]
    model = SirenRegressor(solver="adam", random_state=0)
    values, slopes, _ = two_sines(few)
    with_slopes = error(clone(model).fit(few, values, gradient=slopes))
    assert with_slopes < error(clone(model).fit(many, two_sines(many)[0]))
    assert with_slopes < 1e-2 * error(clone(model).fit(few, values))


@pytest.mark.slow
def test_slopes_at_scattered_rows_of_two_variables():
    at = np.random.default_rng(0).uniform(-1, 1, (2, 300, 2))

    def values(X):
        return np.sin(3 * X[:, 0]) * np.cos(2 * X[:, 1])

    gradient = np.column_stack(
        [
            3 * np.cos(3 * at[0, :, 0]) * np.cos(2 * at[0, :, 1]),
            -2 * np.sin(3 * at[0, :, 0]) * np.sin(2 * at[0, :, 1]),
        ]
    )
    model = small(max_iter=1000).fit(at[0], gradient=gradient)
    residual = model.predict(at[1]) - values(at[1])
    assert residual.var() < 1e-3 * values(at[1]).var()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gradient", "laplacian"])
def test_an_image_from_its_derivatives(kind):
    image = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(32, 32)), 3, mode="wrap")
    image /= image.std()
    rows = np.argwhere(np.ones(image.shape))
    derivatives = {
        "gradient": np.stack(np.gradient(image), axis=-1).reshape(-1, 2),
        "laplacian": ndimage.laplace(image).ravel(),
    }
    model = small(hidden_layer_sizes=(64, 64), omega_0=8.0).fit(rows, **{kind: derivatives[kind]})
    residual = model.predict(rows) - image.ravel()
    assert residual.var() < 0.02


def test_outputs_are_independent():
    both = SLOPES[:, None, :] * np.array([1.0, -1e4])[:, None]
    model = SirenRegressor(random_state=0).fit(X, gradient=both)
    assert model.n_outputs_ == 2
    assert model.gradient(X).shape == (40, 2, 1)
    at = np.linspace(-1, 1, 200)[:, None]
    truth = two_sines(at)[0]
    for values, factor in zip(model.predict(at).T, [1, -1e4], strict=True):
        residual = values / factor - truth
        assert residual.var() < 1e-3


@pytest.mark.slow
@settings(max_examples=5)
@given(
    st.floats(-5, 5),
    st.integers(-100, 100),
    st.floats(-5, 5),
    st.integers(-100, 100),
)
def test_units_do_not_matter(X_shift, X_exponent, y_shift, y_exponent):
    a, b = 10.0**X_exponent, 10.0**y_exponent
    reference = small().fit(X, ANCHOR, gradient=SLOPES)
    at, anchor = a * (X + X_shift), b * (ANCHOR + y_shift)
    model = small().fit(at, anchor, gradient=SLOPES * (b / a))
    np.testing.assert_allclose(model.predict(at) / b - y_shift, reference.predict(X), atol=2e-2)


@pytest.mark.slow
def test_weights_are_repetitions():
    repeats = np.arange(40) % 3
    repeated = np.repeat(np.arange(40), repeats)
    weighted = small().fit(X, VALUES, repeats, gradient=SLOPES)
    copied = small().fit(X[repeated], VALUES[repeated], gradient=SLOPES[repeated])
    np.testing.assert_array_equal(weighted.predict(X), copied.predict(X))


@pytest.mark.parametrize("solver", ["lm", "adam"])
def test_a_kind_that_is_known_in_rows_of_weight_0_alone_is_not_there(solver):
    weight = np.ones(40)
    weight[3] = 0
    kept = weight > 0
    curvature = np.where(kept, np.nan, CURVATURES)
    model = small(solver=solver, max_iter=20).fit(X, VALUES, weight, laplacian=curvature)
    without = small(solver=solver, max_iter=20).fit(X[kept], VALUES[kept])
    np.testing.assert_array_equal(model.predict(X), without.predict(X))


def test_values_and_derivatives_of_sizes_that_float64_cannot_square():
    with pytest.raises(ValueError, match="orders of magnitude"):
        small(solver="lm").fit(X, VALUES, gradient=1e-160 * SLOPES)


@pytest.mark.slow
@pytest.mark.parametrize("weights", [{"gradient_weight": 0}, {"laplacian_weight": 0}])
def test_a_kind_without_weight_does_not_count(weights):
    wrong = {"gradient": -SLOPES} if "gradient_weight" in weights else {"laplacian": -CURVATURES}
    model = SirenRegressor(random_state=0, **weights).fit(X, VALUES, **wrong)
    assert error(model) < 1e-3


def test_early_stopping_scores_the_derivatives_held_out():
    model = SirenRegressor(early_stopping=True, random_state=0).fit(X, gradient=SLOPES)
    assert model.best_validation_score_ > 0.9
    assert abs(model.predict(X).mean()) < 0.1


@pytest.mark.slow
def test_fits_go_on_with_other_kinds():
    model = small(warm_start=True).fit(X, VALUES)
    before = model.score(X, gradient=SLOPES)
    assert model.fit(X, VALUES, gradient=SLOPES).score(X, gradient=SLOPES) > before
    streamed = small(learning_rate_init=2e-3)
    for _ in range(300):
        streamed.partial_fit(X, VALUES, gradient=SLOPES)
    assert streamed.score(X, VALUES, gradient=SLOPES) > 0.98


@pytest.mark.slow
def test_an_all_nan_part_and_a_missing_one_are_the_same():
    missing = np.full(40, np.nan)
    models = [
        small().fit(X, gradient=SLOPES),
        small().fit(X, missing, gradient=SLOPES),
        small().fit(X, gradient=SLOPES, laplacian=missing),
    ]
    for model in models[1:]:
        np.testing.assert_allclose(model.predict(X), models[0].predict(X), atol=1e-4)


@pytest.mark.slow
def test_slopes_that_nobody_knows_leave_the_laplacian_as_it_is():
    missing = np.full_like(SLOPES, np.nan)
    alone = small().fit(X, laplacian=CURVATURES)
    both = small().fit(X, gradient=missing, laplacian=CURVATURES)
    np.testing.assert_array_equal(both.predict(X), alone.predict(X))


@pytest.mark.slow
def test_an_output_may_be_known_by_slopes_and_another_by_curvatures():
    slopes = np.stack([SLOPES, np.full_like(SLOPES, np.nan)], axis=1)
    curvatures = np.column_stack([np.full(40, np.nan), CURVATURES])
    model = SirenRegressor(random_state=0).fit(X, gradient=slopes, laplacian=curvatures)
    assert model.predict(X).std(axis=0).min() > 0.5


def test_a_known_value_that_is_held_out_settles_the_constant():
    for random_state in range(6):
        model = small(max_iter=10, early_stopping=True, random_state=random_state)
        model.set_params(validation_fraction=0.5).fit(X, ANCHOR, gradient=SLOPES)
        assert model.predict(X)[7] == pytest.approx(VALUES[7], abs=1e-3)


def test_scores_leave_out_columns_with_one_known_entry():
    model = small().fit(X, ANCHOR, gradient=SLOPES)
    missing = np.full(40, np.nan)
    expected = model.score(X, gradient=SLOPES)
    assert model.score(X, ANCHOR, gradient=SLOPES) == expected
    assert model.score(X, ANCHOR, gradient=SLOPES, laplacian=missing) == expected
    with pytest.raises(ValueError, match="two known entries of an output"):
        model.score(X[:1], ANCHOR[:1], gradient=SLOPES[:1])


def test_scores_leave_out_rows_without_weight():
    model = small(max_iter=5).fit(X, VALUES)
    counts = np.arange(40) % 2
    missing = np.where(counts[:, None], np.nan, SLOPES)
    with pytest.raises(ValueError, match=r"two known entries of an output|Nothing to fit"):
        model.score(X, gradient=missing, sample_weight=counts)
    expected = model.score(X[counts == 0], gradient=missing[counts == 0])
    assert model.score(X, gradient=missing, sample_weight=1 - counts) == pytest.approx(expected)


def test_scores_refuse_negative_weights():
    model = small(max_iter=5).fit(X, VALUES)
    with pytest.raises(ValueError, match="sample_weight must be non-negative"):
        model.score(X, VALUES, np.arange(-1, 39), gradient=SLOPES)


def test_scores_of_derivatives_that_do_not_vary():
    """Of a function that is linear in a feature, or independent of it."""
    X = np.random.default_rng(0).uniform(size=(100, 3)) * [1, 1e3, 1]
    y = np.sin(3 * X[:, 0]) + 0.002 * X[:, 1]
    slopes = np.c_[3 * np.cos(3 * X[:, 0]), np.full(100, 0.002), np.zeros(100)]
    model = SirenRegressor(random_state=0).fit(X, y)
    assert model.score(X, y, gradient=slopes) > 0.999
    assert model.score(X, gradient=slopes * 0) == 0
    constant = SirenRegressor((8, 8), random_state=0, max_iter=5).fit(X, np.ones(100))
    assert constant.score(X, gradient=np.zeros((100, 3)), laplacian=np.zeros(100)) == 1
    assert constant.score(X, gradient=slopes) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("n_fitted", [1, 2])
@pytest.mark.parametrize("n_scored", [1, 2, 3])
def test_scores_take_as_many_outputs_as_the_fit(n_fitted, n_scored):
    y = np.stack([VALUES] * n_fitted, axis=1)
    model = small(max_iter=5).fit(X, y[:, 0] if n_fitted == 1 else y)
    gradient = np.zeros((40, n_scored, 1))
    if n_scored == n_fitted == 2:
        assert np.isfinite(model.score(X, gradient=gradient))
        return
    with pytest.raises(ValueError, match="the fit's have"):
        model.score(X, gradient=gradient)


def test_scores_say_what_they_lack():
    model = small(max_iter=5).fit(X, VALUES)
    with pytest.raises(ValueError, match="y, gradient or laplacian"):
        model.score(X)
    with pytest.raises(ValueError, match="2D array"):
        model.score([1.0, 2.0, 3.0], gradient=[1.0, 2.0, 3.0])


def test_scores_are_means_over_known_entries():
    model = small().fit(X, VALUES)
    parts = [model.score(X, VALUES), model.score(X, gradient=SLOPES)]
    assert model.score(X, VALUES, gradient=SLOPES) == pytest.approx(np.mean(parts))
    known = np.arange(40) % 2 == 0
    half = np.where(known, VALUES, np.nan)
    expected = [model.score(X[known], VALUES[known]), parts[1]]
    assert model.score(X, half, gradient=SLOPES) == pytest.approx(np.mean(expected))


def test_routing_splits_and_passes_derivatives():
    with config_context(enable_metadata_routing=True):
        model = small(omega_0=4.0).set_fit_request(gradient=True).set_score_request(gradient=True)
        pipeline = make_pipeline(FunctionTransformer(), model)
        search = GridSearchCV(pipeline, {"sirenregressor__max_iter": [10, 300]})
        search.fit(X, VALUES, gradient=SLOPES)
        assert search.best_params_ == {"sirenregressor__max_iter": 300}
        assert search.best_estimator_.score(X, VALUES, gradient=SLOPES) > 0.99
        scores = cross_val_score(model, X, VALUES, params={"gradient": SLOPES})
        assert scores.shape == (5,)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"gradient": SLOPES[:, 0]}, r"gradient has shape \(40,\)"),
        ({"gradient": np.hstack([SLOPES, SLOPES])}, r"X of shape \(40, 1\)"),
        ({"gradient": SLOPES[:-1]}, r"gradient has shape \(39, 1\)"),
        ({"y": VALUES[:, None], "gradient": SLOPES}, r"call for \(40, 1, 1\)"),
        ({"y": VALUES, "laplacian": SLOPES}, r"laplacian has shape \(40, 1\)"),
        ({"gradient": NOWHERE}, "Nothing to fit"),
        ({"y": ANCHOR, "gradient": NOWHERE}, "y contains NaN"),
        ({"gradient": np.full_like(SLOPES, np.inf)}, "infinity"),
        ({"y": np.where(np.isnan(ANCHOR), 0, np.inf), "gradient": SLOPES}, "infinity"),
        ({"y": ANCHOR}, "NaN"),
        ({"y": VALUES.astype(str), "gradient": SLOPES}, "numeric"),
        ({"y": VALUES, "gradient": SLOPES.astype("m8[s]")}, "gradient must hold real numbers"),
        ({"laplacian": CURVATURES.astype("M8[s]")}, "laplacian must hold real numbers"),
        ({}, "requires y"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_targets(method, targets, message):
    with pytest.raises(ValueError, match=message):
        getattr(small(), method)(X, **targets)
