"""The one organization, project and user of a sandbox, and the fixed keys that open it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from posthog_mcp.sandbox.store import Store

KeyKind = Literal["project", "personal", "secret"]

PROJECT_TOKEN = "phc_sandbox"  # noqa: S105 - printed for everyone, opens nothing but a sandbox
PERSONAL_KEY = "phx_sandbox"
READ_KEY = "phx_sandbox_read"
SECRET_KEY = "phs_sandbox"  # noqa: S105 - the same

# posthog/scopes.py: what a key can be allowed to read or write.
SCOPE_OBJECTS = (
    "action",
    "activity_log",
    "alert",
    "annotation",
    "batch_export",
    "cohort",
    "comment",
    "dashboard",
    "dashboard_template",
    "early_access_feature",
    "endpoint",
    "error_tracking",
    "evaluation",
    "event_definition",
    "experiment",
    "experiment_holdout",
    "experiment_saved_metric",
    "export",
    "external_data_source",
    "feature_flag",
    "group",
    "health_issue",
    "heatmap",
    "hog_flow",
    "hog_function",
    "insight",
    "insight_variable",
    "integration",
    "llm_analytics",
    "llm_prompt",
    "logs",
    "notebook",
    "organization",
    "organization_member",
    "person",
    "plugin",
    "project",
    "property_definition",
    "query",
    "revenue_analytics",
    "session_recording",
    "session_recording_playlist",
    "sharing_configuration",
    "subscription",
    "survey",
    "task",
    "tracing",
    "user",
    "user_interview",
    "warehouse_table",
    "warehouse_view",
    "web_analytics",
    "webhook",
)

_BIRTH = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Key:
    """A key as PostHog knows it: `scopes` are `object:action`, or `*` alone for all of them."""

    value: str = field(repr=False)
    kind: KeyKind
    label: str
    id: str
    scopes: tuple[str, ...]

    def allows(self, scope: str) -> bool:
        """Whether the key has the scope; `write` includes `read`, as in PostHog."""
        name = scope.partition(":")[0]
        return any(held in ("*", scope, f"{name}:write") for held in self.scopes)


KEYS = {
    key.value: key
    for key in (
        Key(PROJECT_TOKEN, "project", "Project token", "token", ()),
        Key(PERSONAL_KEY, "personal", "Sandbox, all scopes", "0197f000-0000-7000-8000-00000000000a", ("*",)),
        Key(
            READ_KEY,
            "personal",
            "Sandbox, read only",
            "0197f000-0000-7000-8000-00000000000b",
            tuple(f"{name}:read" for name in SCOPE_OBJECTS),
        ),
        Key(SECRET_KEY, "secret", "Sandbox, flags secret", "secret", ("feature_flag:read",)),
    )
}


@dataclass(frozen=True, slots=True)
class User:
    """The person behind the personal keys."""

    id: int = 1
    uuid: str = "0197f000-0000-7000-8000-000000000001"
    distinct_id: str = "sandbox-user"
    first_name: str = "Sandbox"
    last_name: str = ""
    email: str = "sandbox@example.com"

    def basic(self) -> dict[str, Any]:
        """The short form PostHog puts into `created_by` and `last_modified_by`."""
        return {
            "id": self.id,
            "uuid": self.uuid,
            "distinct_id": self.distinct_id,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "email": self.email,
            "is_email_verified": True,
            "hedgehog_config": None,
            "role_at_organization": None,
        }


def _default_settings() -> dict[str, Any]:
    return {
        "name": "Sandbox",
        "timezone": "UTC",
        "week_start_day": 0,
        "test_account_filters": [],
        "app_urls": [],
        "anonymize_ips": False,
        "autocapture_opt_out": None,
        "session_recording_opt_in": True,
        "surveys_opt_in": True,
        "heatmaps_opt_in": None,
        "person_display_name_properties": None,
        "data_attributes": ["data-attr"],
        "path_cleaning_filters": [],
    }


@dataclass(slots=True)
class Project:
    """Project 1: fixed identity, settings that can be changed through the API.

    `settings` holds what `PATCH /api/projects/1/` may write: name, timezone (an IANA name), week_start_day
    (0 Sunday, 1 Monday), test_account_filters and the rest of PostHog's ordinary switches.
    """

    id: int = 1
    uuid: str = "0197f000-0000-7000-8000-000000000002"
    organization_id: str = "0197f000-0000-7000-8000-000000000003"
    organization_name: str = "Sandbox organization"
    organization_slug: str = "sandbox"
    api_token: str = PROJECT_TOKEN
    secret_token: str = SECRET_KEY
    created_at: str = _BIRTH
    user: User = field(default_factory=User)
    settings: dict[str, Any] = field(default_factory=_default_settings)

    @property
    def name(self) -> str:
        """The project's name."""
        return self.settings["name"]

    @property
    def timezone(self) -> str:
        """The project's time zone, an IANA name."""
        return self.settings["timezone"]

    @classmethod
    def load(cls, store: Store) -> Project:
        """The project with the settings saved in the store, if any were."""
        project = cls()
        project.settings.update(store.get("project", project.id) or {})
        return project

    def save(self, store: Store) -> None:
        """Keep the settings."""
        store.put("project", self.id, self.settings)
