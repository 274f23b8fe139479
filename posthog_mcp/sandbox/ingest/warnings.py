"""Ingestion warnings: what was taken but not done, in PostHog's own types."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class IngestionWarning:
    """PostHog's type of the warning, when it was raised, and what it was about."""

    type: str
    at: datetime
    details: dict[str, Any] = field(default_factory=dict[str, Any])


class Warnings(deque[IngestionWarning]):
    """The last thousand ingestion warnings, oldest first."""

    def __init__(self) -> None:
        super().__init__(maxlen=1_000)

    def warn(self, type_: str, at: datetime, **details: Any) -> None:
        """Add one."""
        self.append(IngestionWarning(type_, at, details))
