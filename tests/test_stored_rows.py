import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skinr import SirenRegressor, SirenSearchCV
from skinr.rows import Table
from skinr.scaling import AffineMap
from skinr.stored_rows import StoredRows


@pytest.mark.slow
@given(
    n_rows=st.integers(1, 300),
    batch_size=st.integers(1, 400),
    weighted=st.booleans(),
    first=st.integers(0, 3),
)
def test_batches_visit_every_row_equally_often(n_rows, batch_size, weighted, first):
    X = np.arange(n_rows, dtype=np.float32)[:, None]
    table = Table(X, 2 * X, X[:, 0] + 1.0 if weighted else None)
    identity = AffineMap.identity(1)
    rows = StoredRows(table, identity, identity, torch.empty(0, dtype=torch.float32))

    def draw(n_batches, first=0):
        batches = rows.batches(batch_size, [torch.Generator().manual_seed(0)], first=first)
        return [next(batches) for _ in range(n_batches)]

    batches = draw(n_rows)
    for batch in batches:
        torch.testing.assert_close(batch.targets, 2 * batch.coordinates)
        assert (batch.weight is not None) == weighted
        if weighted:
            torch.testing.assert_close(batch.weight, batch.coordinates + 1)
        assert batch.n_rows == min(batch_size, n_rows)
    visits = torch.cat([batch.coordinates.ravel() for batch in batches]).long()
    assert (torch.bincount(visits, minlength=n_rows) == min(batch_size, n_rows)).all()
    (later,) = draw(1, first)
    torch.testing.assert_close(later.coordinates, draw(first + 1)[first].coordinates)


@pytest.fixture
def nothing_is_copied(monkeypatch):
    monkeypatch.setattr("skinr.stored_rows.MAX_COPIED_SIZE", 0)


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_is_copied")
def test_the_defaults_take_it_where_it_is(table):
    X, y = table
    model = SirenRegressor((64, 64), random_state=0).fit(X, y)
    assert model.n_iter_ == 1000
    assert model.score(X, y) > 0.999


@pytest.fixture
def table():
    draw = np.random.default_rng(0)
    X = draw.uniform(0, 5, (5000, 2)).astype(np.float32)
    return X, np.sin(X[:, 0]) * X[:, 1] + 7


@pytest.fixture
def regressor():
    return SirenRegressor((32, 32), batch_size=256, max_iter=300, random_state=0)


@pytest.mark.usefixtures("nothing_is_copied")
@pytest.mark.parametrize("in_order", [False, True])
def test_large_tables_are_learned(table, regressor, in_order):
    X, y = table
    order = np.lexsort(X.T) if in_order else slice(None)
    model = regressor.fit(X[order], y[order])
    assert model.score(X, y) > 0.99
    assert model.predict(X).dtype == np.float32


@pytest.mark.usefixtures("nothing_is_copied")
def test_a_file_is_learned_to_the_bits_of_the_array(table, regressor, tmp_path):
    X, y = table
    np.save(tmp_path / "table.npy", np.column_stack([X, y]))
    stored = np.load(tmp_path / "table.npy", mmap_mode="r")
    expected = clone(regressor).fit(X, y)
    model = regressor.fit(stored[:, :2], stored[:, 2])
    np.testing.assert_array_equal(model.loss_curve_, expected.loss_curve_)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    for _ in range(2):
        model.partial_fit(stored[:, :2], stored[:, 2])
    assert model.n_iter_ == 300 + 2 * 20


@pytest.mark.usefixtures("nothing_is_copied")
def test_zero_weights_are_rows_left_out(table, regressor):
    X, y = table
    weight = np.ones(len(X))
    weight[::3] = 0
    expected = clone(regressor).fit(X[weight > 0], y[weight > 0])
    model = regressor.fit(X, np.where(weight > 0, y, 1e6), weight)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))


@pytest.mark.usefixtures("nothing_is_copied")
def test_a_checkpoint_resumes_to_the_same_bits(table, regressor, tmp_path):
    X, y = table
    expected = clone(regressor).fit(X, y)
    regressor.set_params(checkpoint=tmp_path / "fit")
    with pytest.warns(ConvergenceWarning, match="max_time"):
        clone(regressor).set_params(max_time=1e-6).fit(X, y)
    np.testing.assert_array_equal(regressor.fit(X, y).loss_curve_, expected.loss_curve_)


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_is_copied")
def test_a_search_gives_what_a_fit_gives(table, regressor):
    X, y = table
    search = SirenSearchCV(regressor, {"omega_0": [1.0, 3.0]}, cv=2).fit(X, y)
    expected = clone(regressor).set_params(**search.best_params_).fit(X, y)
    np.testing.assert_array_equal(search.predict(X), expected.predict(X))


LIMITED_FITS = """
import resource
import sys

import numpy as np

from skinr import SirenRegressor

def fit(table, **options):
    return SirenRegressor((16, 16), max_iter=20, **options).fit(table[:, :2], table[:, 2])

def fits(rows, *, in_memory):
    checkpoint = f"{path}.{len(rows)}"
    try:
        table = np.array(rows) if in_memory else rows
        model = fit(table, random_state=0, checkpoint=checkpoint)
    except (MemoryError, RuntimeError) as error:
        assert "llocat" in str(error), error
        return False
    return np.isfinite(model.predict(rows[:10, :2])).all()

path = sys.argv[1]
rows = np.load(path, mmap_mode="r")
n_rows = len(rows) // 4
fit(np.random.default_rng(0).uniform(size=(10_000, 3)))
status = dict(line.split(":") for line in open("/proc/self/status"))
used = 1024 * int(status["VmData"].split()[0])
resource.setrlimit(resource.RLIMIT_DATA, (used + 50_000_000, used + 50_000_000))
assert fits(rows[: n_rows // 3], in_memory=True)
assert not fits(rows[:n_rows], in_memory=True)
assert fits(rows, in_memory=False)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems don't limit memory so")
def test_ten_times_as_many_rows_as_fit_are_fitted_from_a_file(tmp_path):
    n_rows = 2_400_000
    path = tmp_path / "table.npy"
    file = np.lib.format.open_memmap(path, "w+", np.float32, (4 * n_rows, 3))
    file[:] = np.tile(np.random.default_rng(0).random((n_rows, 3), np.float32), (4, 1))
    del file
    command = [sys.executable, "-c", LIMITED_FITS, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
