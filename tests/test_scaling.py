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
