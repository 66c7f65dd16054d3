"""SIREN implicit neural representations behind scikit-learn's estimator API."""

from skinr.display import ActivationDisplay, LossCurveDisplay, ReconstructionDisplay
from skinr.ensemble import SirenEnsemble
from skinr.image import ImageCoordinateTransformer
from skinr.image_regressor import ImageRegressor
from skinr.network import Siren
from skinr.regressor import SirenRegressor
from skinr.search import SirenSearchCV

__all__ = [
    "ActivationDisplay",
    "ImageCoordinateTransformer",
    "ImageRegressor",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "Siren",
    "SirenEnsemble",
    "SirenRegressor",
    "SirenSearchCV",
]
__version__ = "0.1.0"
