"""What all sections of the settings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Section"]


class Section(BaseModel):
    """Settings that belong together; frozen, and unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
