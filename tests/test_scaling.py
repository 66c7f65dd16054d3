import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skinr.scaling import AffineMap

tables = arrays(
    np.float64,
    st.tuples(st.integers(1, 20), st.integers(1, 3)),
    elements=st.floats(-1e300, 1e300),
)


@given(tables)
def test_range_maps_to_minus_one_and_one(table):
    scaling = AffineMap.from_range(table)
    normalized = scaling.normalize(table)
    varies = scaling.scale > 0
    assert np.isfinite(normalized).all()
    np.testing.assert_allclose(normalized.min(axis=0), np.where(varies, -1, 0), atol=1e-6)
    np.testing.assert_allclose(normalized.max(axis=0), np.where(varies, 1, 0), atol=1e-6)


@given(tables, st.data())
def test_moments_with_integer_weights_are_those_of_repeated_rows(table, data):
    repeats = data.draw(arrays(np.int64, len(table), elements=st.integers(1, 4)))
    weighted = AffineMap.from_moments(table, repeats / repeats.mean())
    repeated = AffineMap.from_moments(table.repeat(repeats, axis=0))
    span = np.ptp(table / 2, axis=0) + np.abs(table).max(axis=0) * 1e-9
    assert (np.abs(weighted.center - repeated.center) <= span * 1e-9).all()
    assert (np.abs(weighted.scale - repeated.scale) <= span * 1e-6).all()


def test_moments_are_numpys():
    table = np.random.default_rng(0).normal(5, 3, (200_000, 2))
    scaling = AffineMap.from_moments(table)
    np.testing.assert_allclose(scaling.center, table.mean(axis=0))
    np.testing.assert_allclose(scaling.scale, table.std(axis=0))


@given(tables)
def test_restore_undoes_normalize(table):
    scaling = AffineMap.from_moments(table)
    restored = scaling.restore(scaling.normalize(table))
    size = np.abs(table).max(axis=0)
    assert (np.abs(restored - table) <= size * 1e-6).all()


@pytest.mark.parametrize("far", [1e300, -1e300])
def test_far_away_stays_finite(far):
    scaling = AffineMap.from_range(np.array([[0.0], [1e-300]]))
    assert np.isfinite(np.float32(scaling.normalize(np.array([[far]])))).all()


@pytest.mark.parametrize(
    ("n_far", "distance", "are_left_out"),
    [(0, 0.0, False), (1, 20.0, False), (1, 70.0, True), (5, -1e300, True), (6, 1e6, False)],
)
def test_a_few_far_values_are_no_part_of_the_usual_range(n_far, distance, are_left_out):
    near = np.random.default_rng(0).uniform(-1, 1, (50, 2)) * [1, 1e3]
    table = np.vstack([near, np.full((n_far, 2), [distance, 0.0])])
    found = AffineMap.from_usual_range(table)
    expected = AffineMap.from_range(near if are_left_out else table)
    np.testing.assert_array_equal(found, expected)


def test_a_column_that_seldom_varies_has_no_far_values():
    table = np.zeros((100, 1))
    table[:5] = 7.0
    np.testing.assert_array_equal(AffineMap.from_usual_range(table), AffineMap.from_range(table))
