"""From draft to archive: each step refused in PostHog's words where it does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from posthog_mcp.sandbox.experiments.checks import check_variants
from posthog_mcp.sandbox.experiments.documents import Experiment, flag_of, status, variants_of
from posthog_mcp.sandbox.experiments.schema import Comment, Conclusion
from posthog_mcp.sandbox.experiments.writing import save
from posthog_mcp.sandbox.flags import writing as flags
from posthog_mcp.sandbox.flags.documents import conditions_of
from posthog_mcp.sandbox.flags.documents import variants_of as whole_variants
from posthog_mcp.sandbox.http.errors import invalid
from posthog_mcp.sandbox.http.times import iso
from posthog_mcp.sandbox.http.validate import checked

if TYPE_CHECKING:
    from posthog_mcp.sandbox.sandbox import Sandbox

Json = dict[str, Any]
_EVERYBODY: Json = {"properties": [], "rollout_percentage": 100}


class Ending(BaseModel):
    """The body of `end/`."""

    conclusion: Conclusion | None = None
    conclusion_comment: Comment | None = None
    open_cleanup_pr: bool = False
    repository: str | None = None


class Shipping(Ending):
    """The body of `ship_variant/`."""

    variant_key: str
    release_to_everyone: bool = False


class Archiving(BaseModel):
    """The body of `archive/`."""

    disable_feature_flag: bool = False


def launch(sandbox: Sandbox, experiment: Experiment) -> Experiment:
    """Start now, with the flag on. Raises `ApiError` 400 unless it is a draft."""
    if experiment["start_date"]:
        raise invalid("Experiment has already been launched.")
    flag = flag_of(sandbox, experiment)
    check_variants(flag, experiment["stats_config"])
    with sandbox.store.transaction():
        flags.switch(sandbox, flag, active=True, archived=False)
        return save(sandbox, experiment, {**experiment, "start_date": iso(sandbox.clock())})


def pause(sandbox: Sandbox, experiment: Experiment) -> Experiment:
    """Put the flag off. Raises `ApiError` 400 unless it runs."""
    return _switch(sandbox, experiment, on=False)


def resume(sandbox: Sandbox, experiment: Experiment) -> Experiment:
    """Put the flag on again. Raises `ApiError` 400 unless it is paused."""
    return _switch(sandbox, experiment, on=True)


def _switch(sandbox: Sandbox, experiment: Experiment, *, on: bool) -> Experiment:
    check_running(experiment)
    flag = flag_of(sandbox, experiment)
    if flag["active"] is on:
        raise invalid("Experiment is not paused." if on else "Experiment is already paused.")
    flags.switch(sandbox, flag, active=on)
    return experiment


def end(sandbox: Sandbox, experiment: Experiment, body: Json) -> Experiment:
    """End now and leave the flag. Raises `ApiError` 400 unless it was launched and has not ended."""
    check_running(experiment)
    return save(sandbox, experiment, _ended(sandbox, experiment, checked(Ending, body)))


def ship_variant(sandbox: Sandbox, experiment: Experiment, body: Json) -> Experiment:
    """Give one variant to all whom the flag reaches, or to everyone, and end the experiment.

    Raises:
        ApiError: 400 for a draft, and for a variant the flag does not have.
    """
    asked = checked(Shipping, body)
    if experiment["start_date"] is None:
        raise invalid("Experiment has not been launched yet.")
    flag = flag_of(sandbox, experiment)
    if asked.variant_key not in variants_of(flag):
        raise invalid(f"Variant '{asked.variant_key}' not found on feature flag.", "variant_key")
    variants = [
        {**one, "rollout_percentage": 100 if one["key"] == asked.variant_key else 0}
        for one in whole_variants(flag)
    ]
    filters: Json = {"multivariate": {"variants": variants}}
    if asked.release_to_everyone:
        filters["groups"] = [_EVERYBODY, *conditions_of(flag)]
    with sandbox.store.transaction():
        flags.change(sandbox, flag, {"filters": filters})
        return save(sandbox, experiment, _ended(sandbox, experiment, asked))


def archive(sandbox: Sandbox, experiment: Experiment, body: Json) -> Experiment:
    """Put away, and the flag off when asked. Raises `ApiError` 400 unless it has ended."""
    asked = checked(Archiving, body)
    if experiment["archived"]:
        raise invalid("Experiment is already archived.")
    if status(sandbox, experiment) != "stopped":
        raise invalid("Experiment must be ended before it can be archived.")
    with sandbox.store.transaction():
        if asked.disable_feature_flag:
            flags.switch(sandbox, flag_of(sandbox, experiment), active=False)
        return save(sandbox, experiment, {**experiment, "archived": True})


def unarchive(sandbox: Sandbox, experiment: Experiment) -> Experiment:
    """Bring back. Raises `ApiError` 400 unless it is archived."""
    if not experiment["archived"]:
        raise invalid("Experiment is not archived.")
    return save(sandbox, experiment, {**experiment, "archived": False})


def reset(sandbox: Sandbox, experiment: Experiment) -> Experiment:
    """Back to a draft, with the flag as it is. Raises `ApiError` 400 for a draft."""
    if experiment["start_date"] is None:
        raise invalid("Experiment is already in draft state.")
    cleared = dict.fromkeys(("start_date", "end_date", "conclusion", "conclusion_comment"))
    return save(sandbox, experiment, {**experiment, **cleared, "archived": False})


def check_running(experiment: Experiment) -> None:
    """Refuse a draft and what has ended, in PostHog's words (`ApiError` 400)."""
    if experiment["start_date"] is None:
        raise invalid("Experiment has not been launched yet.")
    if experiment["end_date"] is not None:
        raise invalid("Experiment has already ended.")


def _ended(sandbox: Sandbox, experiment: Experiment, asked: Ending) -> Experiment:
    given = asked.model_dump(include={"conclusion", "conclusion_comment"}, exclude_none=True)
    return {**experiment, "end_date": experiment["end_date"] or iso(sandbox.clock()), **given}
