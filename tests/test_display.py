import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_pictures import make_picture

from skinr import (
    ActivationDisplay,
    ImageRegressor,
    LossCurveDisplay,
    ReconstructionDisplay,
    SirenRegressor,
)
from skinr.pictures import PIL_MODES

mpl.use("Agg")
import matplotlib.pyplot as plt

SIREN = SirenRegressor((16, 12), max_iter=30, random_state=0)
X = np.random.default_rng(0).uniform(0, 9, (80, 2))
Y = np.sin(X).sum(axis=1)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_a_reconstruction():
    image = np.random.default_rng(0).integers(0, 256, (9, 7), np.uint8)
    model = ImageRegressor(SIREN).fit(image)
    display = ReconstructionDisplay.from_estimator(model, image)
    np.testing.assert_array_equal(display.images_[0].get_array(), (image / 255).astype(np.float32))
    predicted = model.predict()
    np.testing.assert_allclose(display.images_[1].get_array(), predicted / 255, rtol=1e-6)
    difference = np.abs(image.astype(float) - predicted) / 255
    np.testing.assert_allclose(display.images_[2].get_array(), difference, atol=1e-6)
    assert f"{model.score(image):.1f} dB" in display.axes_[1].get_title()
    display.figure_.canvas.draw()


@pytest.mark.parametrize("mode", PIL_MODES)
def test_a_picture_is_drawn_in_its_colours(mode):
    picture = make_picture(mode, 6, 8)
    if mode == "F":
        picture = Image.new("F", (8, 6), 0.5)
    model = ImageRegressor(KNeighborsRegressor(1)).fit(picture)
    display = ReconstructionDisplay.from_estimator(model, picture)
    if mode in ("P", "CMYK", "LAB"):
        expected = np.asarray(picture.convert("RGB"))
        np.testing.assert_array_equal(display.images_[0].get_array(), expected)
    np.testing.assert_array_equal(display.images_[1].get_array(), display.images_[0].get_array())
    assert display.images_[2].get_array().max() == 0


@pytest.mark.parametrize(("mode", "colour"), [("L", 9), ("RGB", (9, 20, 30))])
def test_a_transparent_colour_is_drawn_as_such(mode, colour):
    picture = make_picture(mode, 6, 8)
    picture.paste(colour, (1, 2, 4, 5))
    picture.info["transparency"] = colour
    model = ImageRegressor(KNeighborsRegressor(1)).fit(picture)
    display = ReconstructionDisplay.from_estimator(model, picture)
    for drawn in display.images_[:2]:
        np.testing.assert_array_equal(drawn.get_array(), np.asarray(picture.convert("RGBA")))


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-1, 0.5), (0.2, 0.7)])
@pytest.mark.parametrize("n_channels", [3, 4])
def test_colours_beyond_0_and_1_are_scaled(low, high, n_channels):
    image = np.random.default_rng(0).uniform(low, high, (6, 7, n_channels)).astype(np.float32)
    image[..., 3:] = 0.25
    image[:2, 0, :3] = np.array([low, high])[:, None]
    model = ImageRegressor(KNeighborsRegressor(1)).fit(image)
    display = ReconstructionDisplay.from_estimator(model, image)
    bottom, top = min(low, 0), max(high, 1)
    for drawn in display.images_[:2]:
        expected = (image[..., :3] - bottom) / (top - bottom)
        np.testing.assert_allclose(drawn.get_array()[..., :3], expected, atol=1e-6)
        np.testing.assert_array_equal(drawn.get_array()[..., 3:], image[..., 3:])


@pytest.mark.parametrize("shape", [(50,), (5, 6, 2), (4, 5, 6)], ids=str)
def test_what_is_no_picture_cannot_be_drawn(shape):
    image = np.random.default_rng(0).random(shape)
    model = ImageRegressor(KNeighborsRegressor(1)).fit(image)
    with pytest.raises(ValueError, match="can be drawn"):
        ReconstructionDisplay.from_estimator(model, image)


def test_a_picture_of_another_mode_is_not_compared():
    model = ImageRegressor(KNeighborsRegressor(1)).fit(make_picture("RGB", 5, 6))
    with pytest.raises(ValueError, match="mode 'HSV'"):
        ReconstructionDisplay.from_estimator(model, make_picture("HSV", 5, 6))


def test_a_loss_curve():
    siren = clone(SIREN).fit(X, Y)
    figure, ax = plt.subplots()
    display = LossCurveDisplay.from_estimator(siren, ax=ax, color="tab:red")
    assert (display.figure_, display.ax_) == (figure, ax)
    assert display.line_.get_color() == "tab:red"
    np.testing.assert_array_equal(display.line_.get_ydata(), siren.loss_curve_)
    assert ax.get_yscale() == "log"


FITTED = {
    "pipeline": lambda: make_pipeline(StandardScaler(), clone(SIREN)).fit(X, Y),
    "a pipeline of one step": lambda: make_pipeline(clone(SIREN)).fit(X, Y),
    "search": lambda: GridSearchCV(SIREN, {"omega_0": [3]}, cv=2).fit(X, Y),
    "image": lambda: ImageRegressor(SIREN).fit(np.eye(9)),
    "other": lambda: MLPRegressor(max_iter=5).fit(X, Y),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", FITTED)
def test_the_loss_curve_of_what_is_within(name):
    model = FITTED[name]()
    inner = {
        "pipeline": lambda: model[-1],
        "a pipeline of one step": lambda: model[-1],
        "search": lambda: model.best_estimator_,
        "image": lambda: model.regressor_,
        "other": lambda: model,
    }[name]()
    display = LossCurveDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.line_.get_ydata(), inner.loss_curve_)


def test_activations():
    siren = clone(SIREN).fit(X, Y)
    display = ActivationDisplay.from_estimator(siren, X)
    assert display.axes_.shape == display.histograms_.shape == (2, 3)
    for column, layer in enumerate(siren.layer_activations(X)):
        for row, values in enumerate(layer):
            density, edges, _ = display.histograms_[row, column].get_data()
            np.testing.assert_allclose((edges[0], edges[-1]), (values.min(), values.max()))
            np.testing.assert_allclose((density * np.diff(edges)).sum(), 1)
    display.figure_.canvas.draw()


def test_activations_that_differ_by_rounding_alone():
    layer = np.array([[1], [1], [1 + 2**-23]], np.float32)
    display = ActivationDisplay([(layer, layer)])
    display.plot()
    density, edges, _ = display.histograms_[0, 0].get_data()
    np.testing.assert_allclose(density * np.diff(edges), np.eye(60)[0] * 2 / 3 + np.eye(60)[-1] / 3)


@pytest.mark.parametrize("name", ["pipeline", "a pipeline of one step", "search", "image"])
def test_the_activations_of_what_is_within(name):
    model = FITTED[name]()
    inner, coordinates = {
        "pipeline": lambda: (model[-1], model[:-1].transform(X)),
        "a pipeline of one step": lambda: (model[-1], X),
        "search": lambda: (model.best_estimator_, X),
        "image": lambda: (model.regressor_, (X + 0.5) / 4.5 - 1),
    }[name]()
    display = ActivationDisplay.from_estimator(model, X)
    np.testing.assert_allclose(
        display.layers[0][0], inner.layer_activations(coordinates)[0][0], atol=1e-4
    )


def test_where_to_draw():
    layers = clone(SIREN).fit(X, Y).layer_activations(X)
    _, axes = plt.subplots(2, 3)
    assert ActivationDisplay(layers).plot(axes).axes_[1, 2] is axes[1, 2]
    figure, (left, right) = plt.subplots(1, 2)
    display = ActivationDisplay(layers).plot(right)
    assert display.figure_ is figure
    box = right.get_position()
    assert all(box.x0 - 0.01 < ax.get_position().x0 < box.x1 for ax in display.axes_.flat)
    free = figure.add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match="subplots"):
        ActivationDisplay(layers).plot(free)
    assert free.axison
    with pytest.raises(ValueError, match="Axes, or 6 of them"):
        ActivationDisplay(layers).plot([left, right])
    curve = LossCurveDisplay(np.ones(3))
    assert curve.plot(np.array(left)).ax_ is left
    for wrong in ([left, right], [], [None], figure, "left"):
        with pytest.raises(ValueError, match=r"None or one of matplotlib's Axes; .* given"):
            curve.plot(wrong)


def test_before_a_fit():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(SIREN)
    with pytest.raises(NotFittedError):
        ActivationDisplay.from_estimator(SIREN, X)
    with pytest.raises(NotFittedError):
        ReconstructionDisplay.from_estimator(ImageRegressor(), np.eye(3))
    with pytest.raises(TypeError, match=r"estimator .*ImageRegressor; SirenRegressor given"):
        ReconstructionDisplay.from_estimator(SIREN, np.eye(3))
    with pytest.raises(AttributeError, match="loss_curve_"):
        LossCurveDisplay.from_estimator(KNeighborsRegressor().fit(X, Y))


@pytest.mark.slow
def test_matplotlib_is_imported_only_to_draw(monkeypatch):
    code = "import sys, skinr; assert not any('matplotlib' in name for name in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'skinr\[figures\]'"):
        LossCurveDisplay(np.ones(3)).plot()
