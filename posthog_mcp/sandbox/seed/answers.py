"""The right answers about seeded data, counted from the plan and not from the events."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

from posthog_mcp.sandbox.seed import feedback, product
from posthog_mcp.sandbox.seed.plan import Person, Plan


@dataclass(frozen=True, slots=True)
class Answers:
    """What queries over the seeded data must find. Days and weeks are in UTC, weeks begin on Monday."""

    plan: Plan

    @property
    def members(self) -> list[Person]:
        """Everybody who signed up: the persons of the project."""
        return [person for person in self.plan.people if person.member]

    def signups(self) -> int:
        """Events `signed_up`, one of each member."""
        return len(self.members)

    def signups_by_week(self) -> dict[date, int]:
        """Events `signed_up` by the Monday of their week, weeks without any left out."""
        days = [person.signed_up.date() for person in self.members if person.signed_up is not None]
        return dict(sorted(Counter(day - timedelta(days=day.weekday()) for day in days).items()))

    def funnel(self) -> dict[str, int]:
        """Members who did each step after the ones before, all within 14 days of `signed_up`."""
        created = [person for person in self.members if person.created_project is not None]
        return {
            "signed_up": len(self.members),
            "project_created": len(created),
            "purchase_completed": sum(person.bought is not None for person in created),
        }

    def onboarding(self) -> dict[str, int]:
        """Members who completed each step of the onboarding."""
        return {
            step: sum(person.steps > number for person in self.members)
            for number, step in enumerate(product.ONBOARDING)
        }

    def experiment(self) -> dict[str, tuple[int, int]]:
        """Of each variant of `onboarding-flow`: members exposed, and of these how many created a project."""
        exposed = [person for person in self.members if person.exposed]
        created = [person for person in exposed if person.created_project is not None]
        return {
            variant: (
                sum(person.variant == variant for person in exposed),
                sum(person.variant == variant for person in created),
            )
            for variant in product.CREATE_RATES
        }

    def survey(self) -> dict[int, int]:
        """How many members gave each score in the survey that is shown with a member's first project."""
        shown = [person for person in self.members if person.created_project is not None]
        scores = [feedback.score(person.distinct_id) for person in shown]
        return dict(sorted(Counter(score for score in scores if score is not None).items()))

    def revenue(self) -> dict[str, float]:
        """Sum of `total` of `purchase_completed` and `subscription_renewed`, by plan."""
        sums = dict.fromkeys(product.PRICES, 0.0)
        for person in self.members:
            for _, name, total in person.payments:
                sums[name] += total
        return sums

    def paying(self) -> int:
        """Members on a paid plan now: the cohort "Paying members"."""
        return sum(person.bought is not None and not person.cancelled for person in self.members)

    def companies(self) -> int:
        """Groups of the type `company`."""
        return len({person.company for person in self.members} - {None})

    def visitors(self) -> int:
        """Distinct ids that never became a person: all of their events are personless."""
        return sum(not person.member for person in self.plan.people)

    def came_back(self) -> int:
        """Members who used the product again after at least two weeks without."""
        return sum(person.came_back for person in self.members)
