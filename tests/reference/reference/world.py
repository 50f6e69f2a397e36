"""The deals as they stood: every event up to where the question stops, and no other."""

from bisect import bisect_right
from datetime import timedelta
from functools import cached_property

from . import when
from .definitions import Definitions, pipeline_at
from .numbers import DAY


class Snap:
    """A deal at `as_of`, with its course until then.

    "An open deal counts with its attributes at `as_of`. A closed deal counts with the attributes that it had when it was closed, and
    for the teams that its owner was in at that time."
    """

    __slots__ = ("deal", "state", "attributes", "at", "stale", "overdue")

    def __init__(self, course, as_of):
        self.deal = course
        self.state = course.states[-1]
        closing = self.state.closing
        self.attributes = self.state if closing is None else course.states[closing]
        self.at = as_of if closing is None else self.state.closed

    @property
    def open(self):
        """Whether it is open."""
        return self.state.status == "open"

    @property
    def excluded(self):
        """"It is excluded if it was lost for a reason that is not `counted`.\""""
        return not self.state.counted


class Row:
    """Something that is counted: a deal with the attributes that it counts with."""

    __slots__ = ("snap", "attributes", "at", "moment", "day", "pipeline", "stage", "world", "passing")

    def __init__(self, world, snap, attributes=None, at=None, moment=None, day=None, pipeline=None, stage=None):
        self.world, self.snap = world, snap
        self.attributes = snap.attributes if attributes is None else attributes
        self.at = snap.at if at is None else at
        self.moment, self.day = moment, day
        self.pipeline = self.attributes.pipeline if pipeline is None else pipeline
        self.stage = self.attributes.stage if stage is None else stage
        # What a filter by pipeline looks at, where that is not the deal's own.
        self.passing = self.pipeline

    @property
    def teams(self):
        """The teams of the owner at the time that counts."""
        return self.world.definitions.membership.teams(self.attributes.owner, self.at)

    def local_day(self):
        """The day whose interval this belongs to, if any."""
        return self.day if self.moment is None else self.world.day_of(self.moment)


class World:
    """All that is counted for one `as_of` and one `known_at`."""

    def __init__(self, log, as_of, known_at):
        self.log, self.as_of, self.known_at = log, as_of, known_at
        self.definitions = Definitions(log, as_of, known_at)
        self._orders, self._days = {}, {}
        self.today = when.local_day(as_of, self.zone)

    @property
    def zone(self):
        """The company's time zone."""
        return self.definitions.zone

    @property
    def currency(self):
        """The reporting currency."""
        return self.definitions.currency

    def day_of(self, micros):
        """The local date of an instant."""
        if micros not in self._days:
            self._days[micros] = when.local_day(micros, self.zone)
        return self._days[micros]

    def midnight(self, day):
        """The instant at which a local day begins."""
        return when.midnight(day, self.zone)

    def end_of(self, day):
        """"A bare date means the end of that day": its last microsecond."""
        return self.midnight(day + timedelta(days=1)) - 1

    @cached_property
    def snaps(self):
        """Every deal that had been created, oldest in the log first."""
        snaps, visited = [], set()
        for deal in self.log.deals.values():
            course = deal.course(self.as_of, self.known_at)
            if course:
                snaps.append(Snap(course, self.as_of))
                visited.update((visit.pipeline, visit.stage) for visit in course.visits)
        for pipeline in self.definitions.pipelines.values():
            pipeline.keep(visited)
        for snap in snaps:
            stage = self.stage(snap.state.pipeline, snap.state.stage)
            # "the deals that have been in the stage for longer than its `stale_after_days`"
            snap.stale = snap.open and stage.stale_after_days is not None \
                and self.as_of - snap.state.entered > stage.stale_after_days * DAY
            # "the deals whose expected close is before the local date of `as_of`"
            snap.overdue = snap.open and snap.state.expected is not None and snap.state.expected < self.today
        return snaps

    @cached_property
    def current(self):
        """A row for each deal as it counts at `as_of`: a closing belongs to the interval of its closing, and an open deal to that
        of its expected close."""
        return [
            Row(self, snap, day=snap.state.expected) if snap.open else Row(self, snap, moment=snap.state.closed)
            for snap in self.snaps
        ]

    def stage(self, pipeline, slug):
        """A stage as it was defined at `as_of`."""
        return self.definitions.pipelines[pipeline].stage(slug)

    def order_at(self, pipeline, at):
        """The order that the stages of a pipeline had at an instant: slug -> place."""
        return pipeline_at(self.log, pipeline, at, self.known_at, self._orders).order

    def shown(self, pipelines=None):
        """The pipelines of an answer, oldest first. A stage that was added later is shown where a deal was ever in it."""
        self.snaps
        return [p for p in self.definitions.pipelines.values() if pipelines is None or p.id in pipelines]


def known_position(log, text, end_of_day):
    """`known_at`: a position, an instant, or a local day that counts to its end."""
    if text is None:
        return log.head
    if text.isdigit():
        return min(int(text), log.head)
    at = end_of_day(text) if when.is_day(text) else when.instant(text)
    return bisect_right(log.recorded, at)
