"""The errors that a user may see: a sentence that says what is wrong, where, and what to do."""

from napari_dre_slcl.plain_text import visible

__all__ = [
    "BagError",
    "CohortError",
    "ConfigError",
    "DamagedSlideError",
    "DreSlclError",
    "EngineMissingError",
    "ExportError",
    "JobError",
    "LeakageError",
    "ModelError",
    "ResultError",
    "SearchError",
    "SlideError",
]


class DreSlclError(Exception):
    """Base of every error that this package raises on purpose.

    Its text is a full sentence for the user. The command line prints it and ends with code 2;
    the window shows it as a notification. Names in it may be a stranger's, so what would act on a
    terminal stands there as its escape.
    """

    def __str__(self) -> str:
        return visible(super().__str__())


class SlideError(DreSlclError):
    """A slide cannot be opened, read or tiled."""


class DamagedSlideError(SlideError):
    """Pixels of a slide that is open cannot be decoded; its other parts may still be read."""


class CohortError(DreSlclError):
    """The cohort table, its labels, splits or reports are not usable."""


class BagError(CohortError, ValueError):
    """Bags of features, labels or patients that a script gave are not usable.

    A ValueError too, as scikit-learn raises for the same.
    """


class LeakageError(CohortError):
    """What is tested has been seen in training, so that no figure of it may be believed."""


class ConfigError(DreSlclError):
    """A setting has an unknown name or a value outside its range."""


class ModelError(DreSlclError):
    """A model folder or a weights file is missing, broken or of another kind."""


class ResultError(DreSlclError):
    """A result file is missing, broken or belongs to another slide."""


class SearchError(DreSlclError):
    """A cohort's index is missing, broken, or of another model than what is looked for."""


class JobError(DreSlclError):
    """A job cannot be started or continued."""


class EngineMissingError(DreSlclError, ImportError):
    """Training or prediction was asked for, and the extra ``engine`` is not installed."""


class ExportError(DreSlclError):
    """A file for other programs or readers cannot be made from a result."""
