"""A cohort as a model wants it: slides for one that sees pixels, feature files for another."""

from __future__ import annotations

from pathlib import Path

from napari_dre_slcl.cohort.cohort import Cohort, read_cohort
from napari_dre_slcl.cohort.left_out import without_left_out
from napari_dre_slcl.config import DreSlclConfig, with_overrides
from napari_dre_slcl.errors import ConfigError
from napari_dre_slcl.model.bundle import Bundle

__all__ = ["cohort_for_model"]


def cohort_for_model(
    bundle: Bundle, table: Path, features: Path | None
) -> tuple[DreSlclConfig, Cohort]:
    """Read a table, and find out where the tiles of its slides come from.

    Parameters
    ----------
    bundle : Bundle
        The model.
    table : Path
        Cohort table; labels and splits are not looked at.
    features : Path or None
        Folder of feature files, for a model of these. By default those that the table names, else
        those of the folder that the model was trained on.

    Returns
    -------
    DreSlclConfig
        The model's settings with ``features.folder`` as it is here.
    Cohort

    Raises
    ------
    CohortError
        If the table cannot be used.
    ConfigError
        If it is of the other kind than the model.
    """
    takes_features = bundle.feature_dim is not None
    if features is not None and not takes_features:
        raise ConfigError(
            "This model was trained on pixels, it cannot take feature files. Leave --features out."
        )
    trained_on = bundle.config.features.folder
    # A slide that is not there is left out where it is opened, as one that is broken.
    cohort = read_cohort(table, needs_slides=not takes_features, may_lack=lambda n_slides: n_slides)
    if takes_features and features is None and not cohort.is_from_features:
        features = trained_on
        if features is None or not features.is_dir():
            raise ConfigError(
                f"The table '{table}' names no feature files, and this model was trained "
                "on such. Name their folder with --features."
            )
    if not takes_features and cohort.is_from_features:
        raise ConfigError(
            f"This model was trained on pixels, and the table '{table}' names feature "
            "files only. Give a table with a column 'slide'."
        )
    if features is not None:
        cohort, _ = without_left_out(cohort, features)
    where = str(features) if features is not None else None
    return with_overrides(bundle.config, {"features.folder": where}), cohort
