import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skinr.rows import MAX_CANONICAL_SIZE, Table, TrainingRows
from skinr.scaling import AffineMap

few = st.sampled_from([0.0, 0.5, 1.0])


@st.composite
def weighted_tables(draw):
    n_rows = draw(st.integers(1, 12))
    X = draw(arrays(np.float64, (n_rows, draw(st.integers(1, 2))), elements=few))
    y = draw(arrays(np.float64, (n_rows, draw(st.integers(1, 2))), elements=few))
    repeats = draw(arrays(np.int64, n_rows, elements=st.integers(0, 3)))
    repeats[0] = max(repeats[0], 1)
    return X, y, repeats


def assert_same_bits(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@given(weighted_tables(), st.randoms())
def test_weights_are_repetitions_in_any_order(table, random):
    X, y, repeats = table
    order = np.arange(len(X))
    random.shuffle(order)
    weighted = Table.canonical(X[order], y[order], repeats[order].astype(float))
    repeated = np.repeat(np.arange(len(X)), repeats)
    random.shuffle(repeated)
    assert_same_bits(weighted, Table.canonical(X[repeated], y[repeated], None))


@pytest.mark.parametrize("X", [np.arange(4.0)[:, None], np.zeros((4, 1))], ids=["apart", "equal"])
def test_weights_whose_sum_overflows(X):
    y, weight = np.repeat([[0.0], [1.0]], 2, axis=0), np.array([1.6, 1.6, 0.8, 1.6])
    huge = Table.canonical(X, y, 1e308 * weight)
    np.testing.assert_allclose(huge.weight, Table.canonical(X, y, weight).weight)


@given(weighted_tables())
def test_canonical_rows_are_the_rows(table):
    X, y, repeats = table
    canonical = Table.canonical(X, y, repeats.astype(float))
    given_rows = {(*X[i], *y[i]) for i in np.flatnonzero(repeats)}
    kept = [tuple(row) for row in np.column_stack([canonical.X, canonical.y])]
    assert len(kept) == len(set(kept))
    assert set(kept) == given_rows
    if canonical.weight is not None:
        assert canonical.weight.mean() == pytest.approx(1)


def test_large_tables_keep_their_rows_but_for_those_without_weight():
    X = np.zeros((MAX_CANONICAL_SIZE, 1))
    weight = np.ones(len(X))
    assert len(Table.canonical(X, X, weight).X) == len(X)
    weight[:10] = 0
    assert len(Table.canonical(X, X, weight).X) == len(X) - 10


def to_rows(X, y, weight=None):
    identity = AffineMap.identity(1)
    like = torch.empty(0, dtype=torch.float64)
    return TrainingRows.from_table(Table(X, y, weight), identity, identity, like)


@given(
    n_rows=st.integers(2, 30),
    batch_size=st.integers(1, 29),
    n_networks=st.integers(1, 3),
    n_epochs=st.integers(1, 3),
)
def test_batches_visit_every_row_equally_often(n_rows, batch_size, n_networks, n_epochs):
    batch_size = min(batch_size, n_rows - 1)
    X = np.arange(n_rows, dtype=float)[:, None]
    rows = to_rows(X, 2 * X, X[:, 0] + 1)
    generators = [torch.Generator().manual_seed(k) for k in range(n_networks)]
    batches = rows.batches(batch_size, generators)
    seen = [next(batches) for _ in range(n_epochs * n_rows)]
    for batch in seen:
        torch.testing.assert_close(batch.targets, 2 * batch.coordinates)
        torch.testing.assert_close(batch.weight, batch.coordinates + 1)
        assert batch.coordinates.shape == (n_networks, batch_size, 1)
    visits = torch.cat([batch.coordinates[..., 0] for batch in seen], dim=1).long()
    for network_visits in visits:
        counts = torch.bincount(network_visits, minlength=n_rows)
        assert (counts == n_epochs * batch_size).all()


def test_a_table_that_fits_is_one_batch():
    X = np.arange(5.0)[:, None]
    rows = to_rows(X, X)
    batches = rows.batches(5, [torch.Generator()])
    assert next(batches) is rows
    assert next(batches) is rows


def test_each_network_may_have_rows_of_its_own():
    coordinates = torch.arange(12.0).view(2, 6, 1)
    rows = TrainingRows(coordinates, coordinates)
    batch = next(rows.batches(4, [torch.Generator().manual_seed(0)]))
    assert batch.coordinates.shape == (2, 4, 1)
    torch.testing.assert_close(batch.coordinates[1], batch.coordinates[0] + 6)
