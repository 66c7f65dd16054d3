"""SIREN implicit neural representations behind scikit-learn's estimator API."""

from skinr.network import Siren
from skinr.regressor import SirenRegressor

__all__ = ["Siren", "SirenRegressor"]
__version__ = "0.1.0"
