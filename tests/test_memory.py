from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from skinr import ImageRegressor, SirenRegressor, SirenSearchCV
from skinr.memory import cached


def doubled(x):
    return 2 * x


def fit_tiles(memory):
    image = np.arange(24.0).reshape(4, 6)
    return ImageRegressor(LinearRegression(), tile_size=3, memory=memory).fit(image)


def search(memory):
    X = np.linspace(0, 1, 12)[:, None]
    regressor = SirenRegressor((4,), max_iter=2, random_state=0)
    return SirenSearchCV(regressor, {"omega_0": [3.0]}, cv=2, memory=memory).fit(X, X[:, 0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("fit", [fit_tiles, search])
def test_a_path_is_what_its_text_is(tmp_path, fit):
    fit(tmp_path)
    files = sorted(tmp_path.rglob("output.pkl"))
    assert files
    fit(str(tmp_path))
    assert sorted(tmp_path.rglob("output.pkl")) == files


@pytest.mark.parametrize("folder", ["kept", Path("kept")])
def test_a_relative_path_is_that_of_where_it_was_given(tmp_path, monkeypatch, folder):
    """As workers need it, which may have begun elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    double = cached(doubled, folder)
    monkeypatch.chdir("elsewhere")
    double(2)
    assert list((tmp_path / "kept").rglob("output.pkl"))
    assert not list(Path().iterdir())


@pytest.mark.parametrize("fit", [fit_tiles, search])
@pytest.mark.parametrize("memory", ["file", "file/folder", Path("file")])
def test_no_folder(tmp_path, monkeypatch, fit, memory):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(ValueError, match=rf"memory='{memory}' must be a folder"):
        fit(memory)
