"""What a client may write about an experiment; fields that are absent keep their value."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator

from posthog_mcp.sandbox.experiments.settings import ExposureCriteria, Metric
from posthog_mcp.sandbox.http.times import iso, read_iso

Conclusion = Literal["won", "lost", "inconclusive", "stopped_early", "invalid"]
Comment = Annotated[str, Field(max_length=4_000)]
Json = dict[str, Any]
# Said about the request, and not kept.
NOT_KEPT = {"allow_unknown_events", "update_feature_flag_params", "feature_flag_key", "feature_flag"}


class Variant(BaseModel):
    """A variant in `parameters`; its share has an older and a newer name."""

    key: Annotated[str, Field(min_length=1)]
    name: str | None = None
    rollout_percentage: Annotated[float, Field(ge=0, le=100)] | None = None
    split_percent: Annotated[float, Field(ge=0, le=100)] | None = None


class Parameters(BaseModel, extra="allow"):
    """The older place of the flag's settings and of the plan."""

    feature_flag_variants: list[Variant] | None = None
    rollout_percentage: Annotated[float, Field(ge=0, le=100)] | None = None
    aggregation_group_type_index: int | None = None


class SavedMetricLink(BaseModel):
    """A saved metric that the experiment uses, as `primary` or `secondary`."""

    id: int
    metadata: Json | None = None


class ExperimentFields(BaseModel):
    """The body of a create or an update."""

    name: Annotated[str, Field(min_length=1, max_length=400)] = ""
    description: Annotated[str, Field(max_length=3_000)] | None = ""
    feature_flag_key: str = ""
    feature_flag: Json | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    type: Literal["web", "product"] | None = "product"
    parameters: Parameters | None = None
    running_time_calculation: Json | None = None
    metrics: list[Metric] | None = None
    metrics_secondary: list[Metric] | None = None
    secondary_metrics: list[Json] | None = None
    saved_metrics_ids: list[SavedMetricLink] | None = None
    primary_metrics_ordered_uuids: list[str] | None = None
    secondary_metrics_ordered_uuids: list[str] | None = None
    exposure_criteria: ExposureCriteria | None = None
    stats_config: Json | None = None
    scheduling_config: Json | None = None
    excluded_variants: list[str] | None = None
    only_count_matured_users: bool = False
    holdout_id: int | None = None
    filters: Json | None = None
    conclusion: Conclusion | None = None
    conclusion_comment: Comment | None = None
    repository: Annotated[str, Field(max_length=255)] | None = None
    tags: Annotated[list[Annotated[str, Field(max_length=255)]], Field(max_length=100)] = []
    archived: bool = False
    deleted: bool = False
    allow_unknown_events: bool = False
    update_feature_flag_params: bool = False

    @field_validator("start_date", "end_date")
    @classmethod
    def _aware(cls, moment: datetime | None) -> datetime | None:
        return read_iso(moment.isoformat()) if moment else None

    def given(self) -> Json:
        """The fields the client sent, as they are stored."""
        values = self.model_dump(exclude_unset=True, exclude=NOT_KEPT)
        for name in ("start_date", "end_date"):
            if values.get(name):
                values[name] = iso(values[name])
        return values
