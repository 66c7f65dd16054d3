import signal
import subprocess
import sys
from time import sleep

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skinr import ImageRegressor, SirenRegressor

IMAGE = np.arange(144, dtype=np.uint8).reshape(12, 12)
ENDLESS = SirenRegressor((8,), solver="adam", max_iter=1_000_000)
SHORT = clone(ENDLESS).set_params(max_time=0.02)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_all_tiles_and_keeps_none_half_learned(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        ImageRegressor(ENDLESS, tile_size=6, memory=str(tmp_path)).fit(IMAGE)
    assert not list(tmp_path.rglob("output.pkl"))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_leaves_a_single_network_fitted():
    with pytest.warns(ConvergenceWarning, match="Ctrl-C"):
        model = ImageRegressor(ENDLESS).fit(IMAGE)
    assert model.predict().shape == IMAGE.shape


@pytest.mark.slow
@pytest.mark.parametrize(
    "regressor",
    [SHORT, GridSearchCV(SHORT, {"omega_0": [3]}, cv=2)],
    ids=["a network", "a search"],
)
def test_a_tile_that_max_time_has_ended_is_fitted_again(tmp_path, regressor):
    model = ImageRegressor(regressor, tile_size=6, memory=str(tmp_path))
    for _ in range(2):
        with pytest.warns(ConvergenceWarning, match="by max_time=0.02 seconds") as caught:
            model.fit(IMAGE)
        assert len(caught) >= 4
        assert not list(tmp_path.rglob("output.pkl"))
        assert model.predict().shape == IMAGE.shape


SLOW_FIT = """
import pathlib, sys, time, uuid
import numpy as np
from sklearn.linear_model import LinearRegression
from skinr import ImageRegressor

class Slow(LinearRegression):
    def fit(self, X, y):
        pathlib.Path(sys.argv[1], uuid.uuid4().hex).touch()
        time.sleep(0.2)
        return super().fit(X, y)

image = np.arange(144, dtype=np.uint8).reshape(12, 12)
model = ImageRegressor(Slow(), tile_size=4, memory=sys.argv[2]).fit(image)
print(np.array_equal(model.predict(), image))
"""


@pytest.mark.slow
def test_a_killed_fit_goes_on_where_it_was(tmp_path):
    log, memory, script = tmp_path / "log", tmp_path / "memory", tmp_path / "script.py"
    log.mkdir()
    script.write_text(SLOW_FIT)
    command = [sys.executable, script, log, memory]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE)
    while len(list(log.iterdir())) < 4:
        assert killed.poll() is None
        sleep(0.01)
    killed.kill()
    killed.communicate()
    n_begun = len(list(log.iterdir()))
    assert n_begun < 9
    assert subprocess.check_output(command, text=True) == "True\n"
    assert len(list(log.iterdir())) <= 9 + 1


def test_a_tile_whose_file_is_damaged_is_fitted_again(tmp_path):
    model = ImageRegressor(SirenRegressor((8,), max_iter=20, random_state=0), tile_size=6)
    model.set_params(memory=str(tmp_path)).fit(IMAGE)
    expected = model.predict()
    files = list(tmp_path.rglob("output.pkl"))
    assert len(files) == 4
    files[0].write_bytes(files[0].read_bytes()[:100])
    files[1].write_bytes(b"")
    np.testing.assert_array_equal(model.fit(IMAGE).predict(), expected)
