import itertools
import pickle
import tracemalloc

import numpy as np
import pytest
from joblib import Memory
from PIL import Image
from scipy.ndimage import center_of_mass
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.datasets import load_sample_image
from sklearn.ensemble import BaggingRegressor, StackingRegressor
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.tree import DecisionTreeRegressor
from test_pictures import assert_same_pixels, make_picture

from skinr import ImageCoordinateTransformer, ImageRegressor, SirenRegressor
from skinr.pictures import PIL_MODES

NEAREST = KNeighborsRegressor(1)


def small_siren(**options):
    settings = {"solver": "adam", "max_iter": 200, "random_state": 0, **options}
    return SirenRegressor((32, 32), **settings)


def waves(height=24, width=32):
    rows, columns = np.mgrid[:height, :width]
    return (128 + 100 * np.sin(rows / 4) * np.cos(columns / 5)).astype(np.uint8)


class Recorder(RegressorMixin, BaseEstimator):
    """Predicts 0.5, and counts rows."""

    n_predicted = 0

    def fit(self, X, y, sample_weight=None):
        self.X_, self.y_, self.weight_ = X, y, sample_weight
        return self

    def predict(self, X):
        self.n_predicted += len(X)
        return np.full((len(X), *self.y_.shape[1:]), 0.5)


class Untrained(Recorder):
    def fit(self, X, y):
        raise AssertionError("bad input has reached the regressor")


def test_it_is_transformer_and_regressor():
    image = waves()
    model = ImageRegressor(small_siren()).fit(image)
    pixels = ImageCoordinateTransformer()
    X, y = pixels.image_to_arrays(image)
    pipeline = make_pipeline(pixels, small_siren()).fit(X, y)
    np.testing.assert_array_equal(model.predict(), pixels.arrays_to_image(pipeline.predict(X)))
    np.testing.assert_array_equal(
        model.predict((50, 20)),
        pixels.arrays_to_image(pipeline.predict(pixels.grid((50, 20))), (50, 20)),
    )
    np.testing.assert_array_equal(model.predict(dtype=float).ravel(), pipeline.predict(X))


def test_a_regressor_may_get_its_predict_by_its_fit():
    stack = StackingRegressor([("line", LinearRegression()), ("nearest", NEAREST)])
    assert ImageRegressor(stack).fit(waves(9, 9)).predict().shape == (9, 9)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_a_matrix_is_an_array():
    image = waves(6, 8)
    assert ImageRegressor(NEAREST).fit(np.asmatrix(image)).score(np.asmatrix(image)) == np.inf


@pytest.mark.parametrize("shape", [(True, 4), (4, np.True_)])
def test_a_boolean_is_no_size(shape):
    with pytest.raises(ValueError, match="2 integers of at least 1"):
        ImageRegressor(NEAREST).fit(waves(6, 8)).predict(shape)


@pytest.mark.parametrize("mode", [mode for mode in PIL_MODES if mode != "F"])
def test_a_picture_in_a_picture_out(mode):
    picture = make_picture(mode, 5, 6)
    model = ImageRegressor(NEAREST).fit(picture)
    assert_same_pixels(model.predict(), picture)
    assert model.score(picture) == np.inf
    assert model.predict(scale=2).mode == mode


@pytest.mark.parametrize("channel_axis", [-1, 0, None, 5])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_picture_knows_its_channels(tmp_path, mode, channel_axis):
    picture = make_picture(mode, 5, 6)
    picture.save(tmp_path / "picture.png")
    model = ImageRegressor(NEAREST, channel_axis=channel_axis)
    for image in (picture, tmp_path / "picture.png"):
        assert_same_pixels(model.fit(image).predict(), picture)
        assert model.score(image) == np.inf
        assert model.predict(scale=2).size == (12, 10)


def test_enlarging_by_the_nearest_pixel_repeats_it():
    picture = make_picture("RGB", 5, 7)
    larger = ImageRegressor(NEAREST).fit(picture).predict(scale=(3, 5))
    expected = picture.resize((35, 15), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(np.asarray(larger), np.asarray(expected))


@pytest.mark.parametrize(
    ("shape", "channel_axis"),
    [((50,), "auto"), ((6, 7, 8), "auto"), ((4, 5, 6), 0), ((4, 5, 6, 3), "auto"), ((9, 2), 1)],
    ids=str,
)
def test_grids_of_any_dimension(shape, channel_axis):
    image = np.random.default_rng(0).integers(-30, 30, shape, np.int16)
    model = ImageRegressor(NEAREST, channel_axis=channel_axis).fit(image)
    np.testing.assert_array_equal(model.predict(), image)
    doubled = model.predict(scale=2)
    for axis in set(range(len(shape))) - {channel_axis if channel_axis != "auto" else None}:
        if doubled.shape[axis] != image.shape[axis]:
            image = np.repeat(image, 2, axis=axis)
    np.testing.assert_array_equal(doubled, image)


def test_a_pipeline_and_a_search():
    rows, columns = np.mgrid[-1:1:20j, -1:1:15j]
    image = np.stack([rows * columns, rows**2], axis=-1).astype(np.float32)
    pipeline = make_pipeline(PolynomialFeatures(), LinearRegression())
    model = ImageRegressor(pipeline).fit(image)
    np.testing.assert_allclose(model.predict(), image, atol=1e-6)
    grid = {"polynomialfeatures__degree": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=KFold(3, shuffle=True, random_state=0))
    model = ImageRegressor(search).fit(image)
    assert model.regressor_.best_params_ == {"polynomialfeatures__degree": 2}
    np.testing.assert_allclose(model.predict(), image, atol=1e-6)


def test_the_frequency_of_a_picture_can_be_searched():
    folds = KFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(small_siren(), {"omega_0": [0.3, 8, 300]}, cv=folds)
    model = ImageRegressor(search).fit(Image.fromarray(waves()))
    assert model.regressor_.best_params_ == {"omega_0": 8}
    assert model.predict(scale=2).size == (64, 48)


def test_pixels_that_are_masked_or_missing_do_not_matter():
    image = waves() / 255
    mask = np.random.default_rng(0).random(image.shape) < 0.7
    model = ImageRegressor(small_siren())
    expected = model.fit(np.where(mask, image, 7.0), mask=mask).predict()
    np.testing.assert_array_equal(model.fit(np.where(mask, image, np.nan)).predict(), expected)
    weighted = model.fit(np.where(mask, image, 7.0), sample_weight=mask * 3.0).predict()
    np.testing.assert_array_equal(weighted, expected)
    assert np.abs(expected - image)[~mask].mean() < 0.1 < image[~mask].std()


def test_a_pixel_with_a_channel_missing_is_missing():
    image = np.ones((3, 2, 2))
    image[1, 0, 1] = np.nan
    model = ImageRegressor(Recorder()).fit(image)
    expected = [[-2 / 3, -0.5], [-2 / 3, 0.5], [0, 0.5], [2 / 3, -0.5], [2 / 3, 0.5]]
    np.testing.assert_allclose(model.regressor_.X_, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["mask", "sample_weight"])
def test_a_mask_of_a_mask_is_refused(name):
    masked = np.ma.array(np.ones((24, 32), bool), mask=False)
    with pytest.raises(TypeError, match=f"{name} is a masked array"):
        ImageRegressor(Recorder()).fit(waves(), **{name: masked})


def test_a_mask_may_be_a_picture():
    mask = Image.fromarray(np.eye(3, dtype=bool))
    model = ImageRegressor(Recorder()).fit(np.arange(9.0).reshape(3, 3), mask=mask)
    assert model.regressor_.y_.tolist() == [0, 4, 8]


def test_a_mask_and_weights_are_turned_upright_as_the_image_is():
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    image.getexif()[0x0112] = 3
    mask = image.point(lambda level: 255 * (level > 3), "1")
    mask.getexif()[0x0112] = 3
    model = ImageRegressor(Recorder()).fit(image, mask=mask, sample_weight=image)
    assert model.regressor_.weight_.tolist() == [5, 4]
    np.testing.assert_allclose(255 * model.regressor_.y_, [5, 4], rtol=1e-6)


def test_a_region_is_computed_without_the_rest():
    model = ImageRegressor(Recorder()).fit(np.zeros((600, 400), np.uint8))
    part = model.predict(scale=1000, region=((300, 300.05), (7, 7.02)))
    assert part.shape == (50, 20)
    assert (part == 128).all()
    assert model.regressor_.n_predicted == 50 * 20


def test_a_region_is_a_part_of_the_whole():
    image = waves()
    model = ImageRegressor(small_siren()).fit(image)
    whole = model.predict(scale=3, dtype=float)
    part = model.predict(scale=3, region=((5, 20), (0, 11)), dtype=float)
    np.testing.assert_allclose(part, whole[15:60, :33], atol=1e-4)


def test_an_enlargement_is_not_shifted():
    rows, columns = np.mgrid[:30, :42]
    image = np.exp(-(((rows - 14.2) / 5) ** 2) - ((columns - 20.7) / 6) ** 2).astype(np.float32)
    siren = small_siren(omega_0=3, weight_scale=1).set_params(max_iter=1000)
    model = ImageRegressor(siren).fit(image)
    box = (8, 6, 36, 24)
    for options, shape, theirs in [
        ({"scale": 4}, (120, 168), {}),
        ({"shape": (100, 90)}, (100, 90), {}),
        ({"scale": 5, "region": ((6, 24), (8, 36))}, (90, 140), {"box": box}),
    ]:
        ours = model.predict(**options)
        bicubic = Image.fromarray(image).resize(shape[::-1], Image.Resampling.BICUBIC, **theirs)
        np.testing.assert_allclose(ours, np.asarray(bicubic), atol=0.03)
        shift = np.subtract(center_of_mass(ours), center_of_mass(np.asarray(bicubic)))
        pixel = np.divide(shape, image.shape if not theirs else (18, 28))
        np.testing.assert_allclose(shift / pixel, 0, atol=0.05)


@pytest.mark.parametrize("dtype", [np.float16, "float32", float])
def test_floats_on_request(dtype):
    model = ImageRegressor(LinearRegression()).fit(make_picture("RGB", 6, 8))
    values = model.predict(scale=2, dtype=dtype)
    assert values.dtype == dtype
    rounded = np.asarray(model.predict(scale=2))
    np.testing.assert_allclose(values.clip(0, 1) * 255, rounded, atol=0.7)


@pytest.mark.filterwarnings("error")
def test_floats_are_clipped_to_what_their_dtype_holds():
    model = ImageRegressor(NEAREST).fit(np.array([[1e6, -1e6], [0, 1]]))
    assert model.predict(dtype=np.float16).tolist() == [[65504, -65504], [0, 1]]


@pytest.mark.parametrize("mode", ["1", "RGB", "PA", "I;16"])
def test_tiles_give_the_picture_back(mode):
    picture = make_picture(mode, 11, 17)
    model = ImageRegressor(NEAREST, tile_size=(4, 5)).fit(picture)
    assert len(model.regressors_) == 3 * 4
    assert_same_pixels(model.predict(), picture)


def test_tiles_leave_no_seam():
    image = np.add.outer(3.0 * np.arange(31), -2.0 * np.arange(44))
    tiled = ImageRegressor(LinearRegression(), tile_size=10).fit(image)
    whole = ImageRegressor(LinearRegression()).fit(image)
    for options in (
        {},
        {"scale": 3},
        {"shape": (17, 90)},
        {"scale": 9, "region": ((8, 12), (3, 5))},
    ):
        np.testing.assert_allclose(tiled.predict(**options), whole.predict(**options), atol=1e-4)
    np.testing.assert_allclose(tiled.score(image + 0.5), whole.score(image + 0.5), atol=1e-3)


def test_tiles_are_sirens_of_their_own():
    image = waves(40, 40)
    model = ImageRegressor(small_siren(), tile_size=20).fit(image)
    assert model.score(image) > 30
    crop = ImageRegressor(small_siren()).fit(image[:22, :22])
    part = ((0, 18), (0, 18))
    np.testing.assert_allclose(
        model.predict(region=part, dtype=float), crop.predict(region=part, dtype=float), atol=1e-5
    )
    with pytest.raises(AttributeError, match="one tile"):
        _ = model.regressor_
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(), model.predict())


@pytest.mark.slow
def test_tiles_in_parallel_are_the_same():
    image = Image.fromarray(np.stack([waves(40, 30)] * 3, axis=-1))
    mask = np.random.default_rng(0).random((40, 30)) < 0.8
    options = {"mask": mask, "sample_weight": mask + 1.0}
    serial = ImageRegressor(small_siren(), tile_size=16).fit(image, **options)
    parallel = ImageRegressor(small_siren(), tile_size=16, n_jobs=2).fit(image, **options)
    np.testing.assert_allclose(
        parallel.predict(dtype=float), serial.predict(dtype=float), atol=1e-2
    )


def test_tiles_of_a_sound_and_of_a_volume():
    sound = (1000 * np.sin(np.arange(500) ** 1.5 / 50)).astype(np.int16)
    model = ImageRegressor(NEAREST, tile_size=90).fit(sound)
    np.testing.assert_array_equal(model.predict(), sound)
    volume = np.random.default_rng(0).random((7, 8, 9), np.float32)
    model = ImageRegressor(NEAREST, tile_size=4).fit(volume)
    np.testing.assert_allclose(model.predict(), volume, rtol=1e-6)


@pytest.mark.parametrize("as_memory", [str, lambda path: Memory(path, verbose=0)])
def test_finished_tiles_are_kept(tmp_path, as_memory):
    model = ImageRegressor(Recorder(), tile_size=10, memory=as_memory(tmp_path))
    first = model.fit(waves()).predict()
    model.set_params(regressor=Recorder())
    n_files = len(list(tmp_path.rglob("output.pkl")))
    assert n_files == len(model.regressors_) == 3 * 4
    np.testing.assert_array_equal(model.fit(waves()).predict(), first)
    assert len(list(tmp_path.rglob("output.pkl"))) == n_files
    changed = waves()
    changed[0, 0] += 1
    model.fit(changed)
    assert len(list(tmp_path.rglob("output.pkl"))) == n_files + 1


def test_tiles_are_found_again_however_they_lie_in_memory(tmp_path):
    image = np.random.default_rng(0).random((1200, 300), np.float32)
    np.save(tmp_path / "image.npy", image)
    layouts = [image, np.asfortranarray(image), np.load(tmp_path / "image.npy", mmap_mode="r")]
    for layout, n_jobs in itertools.product(layouts, (1, 2)):
        options = {"tile_size": (600, 300), "memory": str(tmp_path / "tiles")}
        ImageRegressor(LinearRegression(), n_jobs=n_jobs, **options).fit(layout)
        assert len(list((tmp_path / "tiles").rglob("output.pkl"))) == 2


def test_tiles_in_workers_have_their_metadata_routed():
    image, weight = np.random.default_rng(0).random((2, 12, 12))
    with config_context(enable_metadata_routing=True):
        step = SirenRegressor((8,), max_iter=5).set_fit_request(sample_weight=True)
        model = ImageRegressor(make_pipeline(step), tile_size=6, n_jobs=2)
        assert np.isfinite(model.fit(image, sample_weight=weight).score(image))


def test_tiles_take_little_memory():
    image = np.zeros((1000, 1000), np.uint8)
    model = ImageRegressor(LinearRegression(), tile_size=100)
    tracemalloc.start()
    model.fit(image).predict()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * image.nbytes


def test_a_tile_without_pixels():
    mask = np.ones((20, 20), bool)
    mask[12:, 12:] = False
    with pytest.raises(ValueError, match=r"tile \[12:20, 12:20\]"):
        ImageRegressor(Untrained(), tile_size=7).fit(np.ones((20, 20)), mask=mask)


@pytest.mark.parametrize("name", ["sample_weight", "siren__sample_weight"])
def test_a_tile_without_weight(name):
    weight = np.ones((20, 20))
    weight[12:, 12:] = 0
    model = ImageRegressor(Untrained(), tile_size=7)
    with pytest.raises(ValueError, match=r"tile \[12:20, 12:20\].*weight 0"):
        model.fit(np.ones((20, 20)), **{name: weight})
    mask = np.arange(20) % 2 == np.zeros((20, 1))
    with pytest.raises(ValueError, match=r"tile \[0:8, 0:8\]"):
        model.fit(np.ones((20, 20)), mask=mask, **{name: 1.0 - mask})


def psnr(first, second, peak):
    return 20 * np.log10(peak) - 10 * np.log10(np.mean(np.subtract(first, second) ** 2))


def test_score_is_the_psnr():
    image = waves()
    model = ImageRegressor(small_siren()).fit(image)
    predicted = 255 * model.predict(dtype=float).clip(0, 1)
    np.testing.assert_allclose(model.score(image), psnr(predicted, image, 255), rtol=1e-6)
    mask = np.arange(image.size).reshape(image.shape) % 3 == 0
    expected = psnr(predicted[mask], image[mask], 255)
    np.testing.assert_allclose(model.score(image, mask=mask), expected, rtol=1e-6)
    values = np.where(mask, image / 255 * 4, np.nan)
    model.fit(values)
    expected = psnr(model.predict()[mask], values[mask], np.ptp(values[mask]))
    np.testing.assert_allclose(model.score(values), expected, rtol=1e-6)
    larger = waves(48, 64)
    expected = psnr(model.predict((48, 64)), larger / 255, 1)
    np.testing.assert_allclose(model.score(larger), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "largest"),
    [(np.float32, 3e38), (np.float64, 1.7e308), (np.float64, 1e200), (np.float64, 1e-200)],
)
def test_the_score_of_huge_and_tiny_floats_is_that_of_others(dtype, largest):
    units = np.random.default_rng(0).uniform(-1, 1, (6, 7)).astype(dtype)
    image = units * dtype(largest)
    score = ImageRegressor(NEAREST).fit(image).score(image[::-1])
    expected = psnr(units.astype(float), units[::-1], np.ptp(units))
    np.testing.assert_allclose(score, expected, atol=1e-4)


def test_scikit_learns_conventions():
    model = ImageRegressor(small_siren(), channel_axis=None)
    assert clone(model).get_params().keys() == model.get_params().keys()
    model.set_params(regressor__omega_0=7)
    assert model.get_params()["regressor__omega_0"] == 7
    assert "omega_0=7" in repr(model)
    assert repr(ImageRegressor()) == "ImageRegressor()"
    wrapped = model.regressor
    model.fit(waves())
    assert model.regressor is wrapped
    assert not hasattr(wrapped, "network_")
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(scale=2), model.predict(scale=2))
    assert model._repr_html_()
    with pytest.raises(NotFittedError):
        clone(model).predict()
    with pytest.raises(NotFittedError):
        clone(model).score(waves())


def test_without_a_regressor_it_is_a_siren():
    model = ImageRegressor().fit(np.zeros((1, 1), np.uint8))
    assert isinstance(model.regressor_, SirenRegressor)
    assert model.predict().tolist() == [[0]]


def test_metadata_go_with_their_pixels():
    image = np.arange(6.0).reshape(2, 3)
    image[0, 1] = np.nan
    weight = np.arange(6).reshape(2, 3)
    model = ImageRegressor(Recorder()).fit(image, sample_weight=weight)
    assert model.regressor_.weight_.tolist() == [0, 2, 3, 4, 5]
    model = ImageRegressor(make_pipeline(Recorder()))
    model.fit(image, recorder__sample_weight=weight)
    assert model.regressor_[-1].weight_.tolist() == [0, 2, 3, 4, 5]


def test_metadata_routing():
    assert not {"set_fit_request", "set_predict_request"} & set(dir(ImageRegressor))
    image, weight = np.ones((2, 3)), np.arange(6).reshape(2, 3)
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(Recorder().set_fit_request(sample_weight=True))
        model = ImageRegressor(pipeline).fit(image, sample_weight=weight)
        assert model.regressor_[-1].weight_.tolist() == [0, 1, 2, 3, 4, 5]
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            ImageRegressor(Recorder()).fit(image, sample_weight=weight)
        search = GridSearchCV(NEAREST, {"n_neighbors": [1]}, cv=GroupKFold(3))
        model = ImageRegressor(search).fit(image, groups=weight // 2)
        assert model.regressor_.best_score_ >= 0


def test_a_failed_fit_leaves_the_earlier_one():
    model = ImageRegressor(clone(NEAREST)).fit(waves())
    with pytest.raises(ValueError, match="mask"):
        model.fit(waves(3, 3), mask=np.zeros((2, 2), bool))
    with pytest.raises(ValueError, match="n_neighbors"):
        model.set_params(regressor__n_neighbors=-1).fit(waves(3, 3))
    np.testing.assert_array_equal(model.predict(), waves())


BAD_FITS = {
    "a mask of another shape": ({"mask": np.ones((4, 4), bool)}, r"mask.*\(4, 4\).*\(4, 5\)"),
    "a mask that is all false": ({"mask": np.zeros((4, 5), bool)}, "No pixel.*mask"),
    "a mask of numbers": ({"mask": np.ones((4, 5))}, "mask.*booleans.*float64"),
    "weights of another shape": ({"sample_weight": np.ones(20)}, "sample_weight.*shape"),
    "metadata of another shape": ({"groups": np.ones((5, 4))}, "groups.*shape"),
    "nothing but NaN": ({"image": np.full((4, 5), np.nan)}, "No pixel.*NaN"),
    "infinity": ({"image": np.full((4, 5), np.inf)}, "infinite"),
    "an empty image": ({"image": np.ones((0, 5))}, "empty"),
    "text": ({"image": np.full((4, 5), "a")}, "dtype"),
}


def test_tiles_do_not_share_a_checkpoint(tmp_path):
    siren = SirenRegressor(8, max_iter=3, checkpoint=tmp_path / "fit", random_state=0)
    image = np.random.default_rng(0).random((20, 20))
    with pytest.raises(ValueError, match=r"checkpoint.*memory"):
        ImageRegressor(make_pipeline(siren), tile_size=10).fit(image)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("options", "message"), BAD_FITS.values(), ids=BAD_FITS)
def test_bad_fits(options, message):
    with pytest.raises(ValueError, match=message):
        ImageRegressor(Untrained()).fit(**{"image": np.ones((4, 5)), **options})


def test_files_that_are_none(tmp_path):
    path = tmp_path / "picture.png"
    path.write_text("this is no picture")
    with pytest.raises(ValueError, match="Pillow can read"):
        ImageRegressor(Untrained()).fit(path)
    with pytest.raises(FileNotFoundError):
        ImageRegressor(Untrained()).fit(tmp_path / "none.png")
    with path.open() as file, pytest.raises(TypeError, match=r"TextIOWrapper.*'rb'"):
        ImageRegressor(Untrained()).fit(file)
    with pytest.raises(TypeError, match="list"):
        ImageRegressor(Untrained()).fit([[1, 2]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0}, "scale"),
        ({"scale": -1}, "scale"),
        ({"scale": 2, "shape": (3, 3)}, "one of them"),
        ({"shape": (0, 3)}, "shape"),
        ({"shape": (3, 3, 3)}, "shape"),
        ({"shape": (2 * 10**7, 2 * 10**7)}, "memory"),
        ({"scale": 4e6}, "memory"),
        ({"scale": 1e15}, "memory"),
        ({"scale": (1e16, 0.1)}, "memory"),
        ({"region": ((0, 5), (0, 5))}, "region"),
        ({"dtype": np.uint8}, "dtype"),
        ({"dtype": "nonsense"}, "dtype must be None or a float dtype; 'nonsense'"),
    ],
    ids=str,
)
def test_bad_predictions(options, message):
    model = ImageRegressor(Recorder()).fit(np.zeros((4, 5), np.uint8))
    with pytest.raises(ValueError, match=message):
        model.predict(**options)
    assert model.regressor_.n_predicted == 0


def test_a_regressor_that_predicts_no_number():
    class Lost(Recorder):
        def predict(self, X):
            return np.full(len(X), np.nan)

    with pytest.raises(ValueError, match=r"Lost.*NaN"):
        ImageRegressor(Lost()).fit(np.zeros((4, 5), np.uint8)).predict()


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (np.zeros((4, 5, 3)), None, "channels"),
        (np.zeros(4), None, "grid"),
        (np.zeros((4, 5)), np.ones((4, 4), bool), "mask"),
        (np.zeros((4, 5)), np.zeros((4, 5), bool), "No pixel"),
        (np.full((4, 5), np.nan), None, "No pixel"),
    ],
)
def test_bad_scores(image, mask, message):
    model = ImageRegressor(Recorder()).fit(np.zeros((4, 5)))
    with pytest.raises(ValueError, match=message):
        model.score(image, mask=mask)


@pytest.mark.parametrize(
    ("mode", "other"),
    [("RGB", "HSV"), ("RGB", "RGBA"), ("RGBA", "CMYK"), ("LA", "La"), ("L", "F"), ("I", "I;16")],
)
def test_a_picture_of_another_mode_has_no_score(mode, other):
    model = ImageRegressor(NEAREST).fit(make_picture(mode, 4, 5))
    with pytest.raises(ValueError, match=f"mode '{other}', .*; the fitted one of mode '{mode}'"):
        model.score(make_picture(other, 4, 5))
    for picture in (make_picture(mode, 4, 5), np.asarray(make_picture(mode, 4, 5))):
        assert model.score(picture) == np.inf


@pytest.mark.parametrize(
    ("mode", "other"),
    [("P", "RGB"), ("RGB", "P"), ("PA", "RGBA"), ("L", "1"), ("I;16", "L")],
)
def test_pictures_that_are_read_as_the_same_can_be_compared(mode, other):
    picture = make_picture(mode, 4, 5)
    model = ImageRegressor(NEAREST).fit(picture)
    if mode in ("P", "PA"):
        assert model.score(picture.convert(other)) == np.inf
    assert model.score(make_picture(other, 4, 5)) > 0


def test_a_transparent_colour_makes_another_mode():
    picture = make_picture("RGB", 4, 5)
    model = ImageRegressor(NEAREST).fit(picture)
    picture.info["transparency"] = picture.getpixel((1, 2))
    with pytest.raises(ValueError, match=r"mode 'RGB', read as RGBA; .* read as RGB\."):
        model.score(picture)
    assert model.fit(picture).score(picture.convert("RGBA")) == np.inf


@pytest.mark.parametrize(
    "parameters",
    [
        {"regressor": "siren"},
        {"channel_axis": "last"},
        {"tile_size": 0},
        {"tile_size": (2, 0)},
        {"n_jobs": "all"},
        {"memory": 3},
    ],
    ids=str,
)
def test_bad_parameters(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        ImageRegressor(**parameters).fit(waves())


@pytest.mark.parametrize("name", ["china", "flower"])
@pytest.mark.parametrize("size", [16, 22])
def test_a_small_photograph_keeps_its_detail(name, size):
    photograph = Image.fromarray(load_sample_image(f"{name}.jpg")).resize((size, size)).convert("L")
    model = ImageRegressor(SirenRegressor((64, 64, 64), random_state=0)).fit(photograph)
    assert model.score(photograph) > 40


@pytest.mark.slow
def test_the_defaults_learn_a_photograph():
    photograph = Image.fromarray(load_sample_image("china.jpg")).resize((64, 64)).convert("L")
    model = ImageRegressor(SirenRegressor(max_iter=300, random_state=0)).fit(photograph)
    assert model.score(photograph) > 33


def test_the_mean_of_several_networks_is_an_image():
    several = BaggingRegressor(small_siren(), 2, bootstrap=False, random_state=0)
    model = ImageRegressor(several).fit(waves())
    assert model.predict().dtype == np.uint8
    assert model.score(waves()) > 30


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("tile_size", [None, 4])
def test_an_axis_of_one_channel_is_no_column_to_a_regressor(tile_size):
    image = np.random.default_rng(0).integers(0, 256, (6, 5, 1), dtype=np.uint8)
    model = ImageRegressor(DecisionTreeRegressor(random_state=0), tile_size=tile_size).fit(image)
    assert model.predict().shape == image.shape
    assert model.regressors_[0].predict(np.zeros((3, 2))).shape == (3,)
