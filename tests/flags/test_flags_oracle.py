"""Every decision is the official package's, on random definitions that use everything a flag can hold.

The package is asked through the function its client evaluates one flag with, so that its definitions,
group mapping and matching version come from us and nothing is fetched.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import pytest
from generate import Generator
from posthog import Client
from posthog.feature_flags import InconclusiveMatchError, RequiresServerEvaluation

from posthog_mcp.flags import FlagSet, compile_flags

# Set it higher for a longer run; -n 0 -o log_cli=true -o log_cli_level=INFO shows the counts.
EVALUATIONS = int(os.environ.get("POSTHOG_MCP_ORACLE_EVALUATIONS", "100000"))
SHARDS = 4
SUBJECTS_PER_SET = 20

_log = logging.getLogger(__name__)

Answer = tuple[bool | str | None, str | None]


@pytest.fixture(scope="module", autouse=True)
def quiet():
    logging.getLogger("posthog").disabled = True
    yield
    logging.getLogger("posthog").disabled = False


def official(
    client: Client, definitions: dict[str, Any], flag: dict[str, Any], subject: dict[str, Any]
) -> Answer:
    snapshot = {
        "flags_by_key": {each["key"]: each for each in definitions["flags"]},
        "group_type_mapping": definitions["group_type_mapping"],
        "cohorts": definitions["cohorts"],
        "property_matching_version": definitions["property_matching_version"],
    }
    groups = subject["groups"]
    try:
        value = client._compute_flag_locally(
            flag,
            subject["distinct_id"],
            groups=groups,
            person_properties={"distinct_id": subject["distinct_id"], **subject["person_properties"]},
            group_properties={
                name: {"$group_key": groups[name], **given}
                for name, given in subject["group_properties"].items()
            },
            device_id=subject["device_id"],
            warn_on_unknown_groups=False,
            _definition_snapshot=snapshot,
        )
    except (InconclusiveMatchError, RequiresServerEvaluation) as undecided:
        return None, undecided.reason.value
    return value, None


def ours(flags: FlagSet, key: str, subject: dict[str, Any]) -> Answer:
    decision = flags.evaluate(
        key,
        subject["distinct_id"],
        groups=subject["groups"],
        person_properties=subject["person_properties"],
        group_properties=subject["group_properties"],
        device_id=subject["device_id"],
    )
    return decision.value, decision.reason


def depends_on_another_subject(flag: dict[str, Any], definitions: dict[str, Any]) -> bool:
    """Whether a flag leads to one about somebody else.

    The official package evaluates that one with the asking flag's properties, id and no groups. The server
    does not, so here it needs the server.
    """
    by_key = {each["key"]: each for each in definitions["flags"]}
    keys = [flag["key"]]
    for filter_ in _filters(flag):
        chain = filter_.get("dependency_chain")
        keys += [member for member in chain if member in by_key] if isinstance(chain, list) else []
    subjects = {subject for key in keys for subject in _subjects(by_key[key])}
    return len(keys) > 1 and len(subjects) > 1


def _filters(flag: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for group in flag["filters"]["groups"] for each in group["properties"] or []]


def _subjects(flag: dict[str, Any]) -> set[int | None]:
    own = flag["filters"]["aggregation_group_type_index"]
    return {own, *(g.get("aggregation_group_type_index", own) for g in flag["filters"]["groups"])}


@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_decision_is_the_official_packages(shard: int):
    client = Client("phc_oracle", disabled=True, enable_exception_autocapture=False)
    generator = Generator(seed=20_261 + shard)
    wanted = EVALUATIONS // SHARDS
    compared = decided = excused = 0
    differences: list[str] = []
    while compared < wanted:
        definitions = generator.definitions()
        flags = compile_flags(definitions)
        for _ in range(SUBJECTS_PER_SET):
            subject = generator.subject()
            for flag in definitions["flags"]:
                theirs = official(client, definitions, flag, subject)
                answer = ours(flags, flag["key"], subject)
                compared += 1
                decided += answer[0] is not None
                if answer == theirs:
                    continue
                if answer[0] is None and depends_on_another_subject(flag, definitions):
                    excused += 1
                    continue
                differences.append(f"{flag['key']}: ours {answer}, theirs {theirs}\n{flag}\n{subject}")
    _log.info("%d compared, %d decided, %d left to the server", compared, decided, excused)
    assert decided > compared * 0.4
    assert not differences, "\n\n".join(differences[:3])
