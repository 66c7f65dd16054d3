"""SIREN implicit neural representations behind scikit-learn's estimator API."""

from skinr.image import ImageCoordinateTransformer
from skinr.network import Siren
from skinr.regressor import SirenRegressor
from skinr.search import SirenSearchCV

__all__ = ["ImageCoordinateTransformer", "Siren", "SirenRegressor", "SirenSearchCV"]
__version__ = "0.1.0"
