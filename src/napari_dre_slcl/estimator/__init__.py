"""DRE-SLCL as a scikit-learn estimator: the engine behind fit, predict, predict_proba, transform.

torch is loaded by these calls, not by the import; what is fitted is kept as plain arrays.
"""

from napari_dre_slcl.estimator.classifier import DreSlclClassifier

__all__ = ["DreSlclClassifier"]
