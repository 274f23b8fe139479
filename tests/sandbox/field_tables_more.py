"""Verdicts on every field of property filters, experiments and dashboards."""

from __future__ import annotations

from typing import Any

from field_tables import EVENTS, MODES, RECORDINGS
from field_tables_insights import BY_PLAN, PRO, TRENDS, within
from field_verdicts import COMMON, HOW, LABEL, NAMES_THE_KIND, OBJECT, Json, Table, Verdict, same, to

NAMED = {**same("names the type", "type"), **same(LABEL, "label", value="l")}
BOUGHT = {"kind": "EventsNode", "event": "bought", "math": "sum", "math_property": "price"}
PAID: Json = {"kind": "ExperimentMetric", "metric_type": "mean", "source": BOUGHT}
STEPS: Json = {"kind": "ExperimentMetric", "metric_type": "funnel", "series": [
    {"kind": "EventsNode", "event": "looked"}, {"kind": "EventsNode", "event": "bought"},
]}  # fmt: skip
RATIO: Json = {"kind": "ExperimentMetric", "metric_type": "ratio", "numerator": BOUGHT,
               "denominator": {"kind": "EventsNode", "event": "looked"}}  # fmt: skip
CAME_BACK: Json = {
    "kind": "ExperimentMetric", "metric_type": "retention",
    "start_event": {"kind": "EventsNode", "event": "looked"},
    "completion_event": {"kind": "EventsNode", "event": "bought"},
    "retention_window_start": 0, "retention_window_end": 1, "retention_window_unit": "day",
}  # fmt: skip
RESULTS: Json = {"kind": "ExperimentQuery", "experiment_id": "@experiment", "metric": PAID}
EXPOSED: Json = {
    "kind": "ExperimentExposureQuery", "experiment_name": "Cart", "feature_flag": "@flag",
    "start_date": "2026-03-01T00:00:00Z", "end_date": None, "exposure_criteria": {},
}  # fmt: skip
HALF = {"upper_bound_percentile": 0.5}
METRIC = {
    **OBJECT,
    **same(LABEL, "uuid", "fingerprint", "name", value="n"),
    **same(LABEL, "isSharedMetric", value=True),
    **same(LABEL, "sharedMetricId", value=1),
    **same(NAMES_THE_KIND, "metric_type"),
    **same("readers turn results round", "goal", value="decrease"),
    "conversion_window": to(1, conversion_window_unit="minute"),
    "conversion_window_unit": to("day", "minute", conversion_window=3),
    "breakdownFilter": to({"breakdowns": [{"property": "plan", "type": "person"}]}),
}


def _on_events(key: str, value: Any, **given: Any) -> Table:
    """A filter of events: another key, another value, another operator."""
    other = {name: given.pop(name) for name in ("other_key", "other_value")}
    base = {"key": key, "value": value, "operator": "exact", **given}
    fields = {"key": to(other["other_key"]), "value": to(other["other_value"]), "operator": to("is_not")}
    return Table(within(EVENTS | {"properties": [{}]}, "properties", 0), base, {**NAMED, **fields})


def _with(table: Table, **fields: Verdict) -> Table:
    return Table(table.query, table.base, {**table.fields, **fields})


def _override(made: Json) -> Json:
    return TRENDS | {"@filters_override": made}


TABLES: dict[str, Table] = {
    "EventPropertyFilter": _on_events("plan", "pro", type="event", other_key="nothing", other_value="free"),
    "PersonPropertyFilter": _on_events("team", "red", type="person", other_key="email", other_value="blue"),
    "GroupPropertyFilter": _with(
        _on_events("seats", 5, type="group", group_type_index=0, other_key="name", other_value=7),
        group_type_index=to(1), **same(LABEL, "group_key_names", value={"acme": "Acme"}),
    ),
    "SessionPropertyFilter": _on_events("$entry_pathname", "/p/1", type="session",
                                        other_key="$end_pathname", other_value="/p/2"),
    "EventMetadataPropertyFilter": _on_events("event", "A", type="event_metadata",
                                              other_key="distinct_id", other_value="B"),
    "PersonMetadataPropertyFilter": _with(
        _on_events("id", "@ann", type="person_metadata", other_key="", other_value="@bob"),
        key=to("created_at", "id", operator="icontains", value="2026-03"),
    ),
    "FeaturePropertyFilter": _on_events("$feature/cart", "test", type="feature",
                                        other_key="$feature/x", other_value="control"),
    "ElementPropertyFilter": _on_events("text", "Buy", type="element",
                                        other_key="tag_name", other_value="Go"),
    "CohortPropertyFilter": Table(within(EVENTS | {"properties": [{}]}, "properties", 0),
                                  {"type": "cohort", "key": "id", "value": 1, "operator": "in"}, {
        **NAMED,
        **same("always id", "key"),
        **same(LABEL, "cohort_name", value="Red"),
        "value": to(2),
        "operator": to("not_in"),
    }),
    "HogQLPropertyFilter": Table(within(EVENTS | {"properties": [{}]}, "properties", 0),
                                 {"type": "hogql", "key": "event = 'A'"}, {
        **NAMED,
        "key": to("event = 'B'"),
        **same("the key says it all", "value", value="x"),
    }),
    "RecordingPropertyFilter": Table(within(RECORDINGS | {"properties": [{}]}, "properties", 0),
                                     {"type": "recording", "key": "click_count", "value": 1,
                                      "operator": "gt"}, {
        **NAMED, "key": to("keypress_count"), "value": to(0), "operator": to("lt"),
    }),
    "LogEntryPropertyFilter": Table(within(RECORDINGS | {"console_log_filters": [{}]},
                                           "console_log_filters", 0), {
            "type": "log_entry", "key": "level", "value": ["error"], "operator": "exact"}, {
        **NAMED, "key": to("message"), "value": to(["warn", "error"]), "operator": to("is_not"),
    }),
    "ExperimentQuery": Table(lambda made: made, RESULTS, {
        **COMMON,
        **MODES,
        "metric": to(STEPS),
        "experiment_id": to("@other"),
        **same(LABEL, "name", value="n"),
        **same(HOW, "precomputation_mode", value="direct"),
    }),
    "ExperimentMeanMetric": Table(within(RESULTS, "metric"), PAID, {
        **METRIC,
        "source": to({"kind": "EventsNode", "event": "looked"}),
        "threshold": to(25, source={"kind": "EventsNode", "event": "bought"}),
        "lower_bound_percentile": to(0.9),
        "upper_bound_percentile": to(0.5),
        "ignore_zeros": to(True, **HALF),
    }),
    "OutlierHandling": Table(within(RESULTS | {"metric": RATIO}, "metric",
                                    "numerator_outlier_handling"), {}, {
        "lower_bound_percentile": to(0.9),
        "upper_bound_percentile": to(0.5),
        "ignore_zeros": to(True, **HALF),
    }),
    "ExperimentFunnelMetric": Table(within(RESULTS, "metric"), STEPS, {
        **METRIC,
        "series": to([{"kind": "EventsNode", "event": "bought"}]),
        "funnel_order_type": to("unordered"),
    }),
    "ExperimentRatioMetric": Table(within(RESULTS, "metric"), RATIO, {
        **METRIC,
        "numerator": to({"kind": "EventsNode", "event": "bought"}),
        "denominator": to({"kind": "EventsNode", "event": "bought"}),
        "numerator_outlier_handling": to(HALF),
        "denominator_outlier_handling": to(HALF),
    }),
    "ExperimentRetentionMetric": Table(within(RESULTS, "metric"), CAME_BACK, {
        **METRIC,
        "start_event": to({"kind": "EventsNode", "event": "bought"}),
        "completion_event": to({"kind": "EventsNode", "event": "never"}),
        "retention_window_start": to(1),
        "retention_window_end": to(0),
        "retention_window_unit": to("hour"),
        "start_handling": to("last_seen", "first_seen", retention_window_unit="hour"),
    }),
    "ExperimentExposureQuery": Table(lambda made: made, EXPOSED, {
        **COMMON,
        **MODES,
        **same(LABEL, "experiment_id", value=1),
        **same(LABEL, "experiment_name", value="n"),
        "feature_flag": to("@other_flag"),
        "start_date": to("2026-03-09T00:00:00Z"),
        "end_date": to("2026-03-08T00:00:00Z"),
        "exposure_criteria": to({"multiple_variant_handling": "first_seen"}),
        "holdout": to({"id": 7}),
    }),
    "ExperimentExposureCriteria": Table(within(EXPOSED, "exposure_criteria"), {}, {
        "filterTestAccounts": to(False),
        "exposure_config": to({"kind": "ExperimentEventExposureConfig", "event": "looked", "properties": []}),
        "multiple_variant_handling": to("first_seen"),
    }),
    "ExperimentEventExposureConfig": Table(within(EXPOSED, "exposure_criteria", "exposure_config"), {
        "kind": "ExperimentEventExposureConfig", "event": "looked", "properties": []}, {
        **OBJECT,
        "event": to("bought"),
        "properties": to(PRO),
    }),
    "DashboardFilter": Table(_override, {}, {
        "date_from": to("-1d"),
        "date_to": to("-1d"),
        "properties": to(PRO),
        "breakdown_filter": to(BY_PLAN["breakdownFilter"]),
        "explicitDate": to(True, date_from="-1d"),
    }),
}  # fmt: skip
