"""A question to the API, and its answer as this program computes it."""

import copy
from datetime import timedelta

from . import board, closed, forecast, funnel_cohort, funnel_period, groups, pipeline, time_in_stage, velocity, when
from .filters import filters, values_of
from .world import World, known_position

# path -> (rows, compute, behind). Rows are `Row` or a tuple that begins with one.
FIGURES = {
    "pipeline": (pipeline.rows, pipeline.compute, pipeline.behind),
    "board": (board.rows, board.compute, None),
    "funnel": (funnel_cohort.rows, funnel_cohort.compute, funnel_cohort.behind),
    "funnel-period": (funnel_period.rows, funnel_period.compute, None),
    "time-in-stage": (time_in_stage.rows, time_in_stage.compute, None),
    "win-rate": (closed.rows, closed.win_rate, None),
    "losses": (closed.lost_rows, closed.losses, None),
    "cycle": (closed.rows, closed.cycle, None),
    "closed": (closed.rows, None, closed.behind),
    "velocity": (velocity.rows, velocity.compute, None),
    "forecast": (forecast.rows, forecast.compute, forecast.behind),
}
# "Pipeline, time in stage, velocity and forecast are as of the end of each interval; the others cover the interval."
AT_AN_INSTANT = ("pipeline", "time-in-stage", "velocity", "forecast")
NO_FILTER = {"as_of", "known_at", "min_position", "from", "to", "by", "groups", "series", "mode", "within_days", "number",
             "at_stage", "limit", "after"}


class Worlds:
    """The worlds of one log. The last few are kept, since many questions are about the same."""

    def __init__(self, log):
        self.log, self.kept = log, {}

    def at(self, as_of, known_at):
        """The world as of an instant, by what was known."""
        key = (as_of, known_at)
        if key not in self.kept:
            while len(self.kept) >= 24:
                self.kept.pop(next(iter(self.kept)))
            self.kept[key] = World(self.log, as_of, known_at)
        return self.kept[key]

    def zones(self, known_at):
        """The time zones that the company has had, the latest first."""
        settings = self.log.streams.get("settings", {}).get("", [])
        zones = [e["data"]["to"] for e in settings if e["type"] == "settings.time_zone_set" and e["position"] <= known_at]
        return zones[::-1] or ["UTC"]

    def end_of_day(self, text, known_at):
        """The end of a local day: in the time zone that is in force then."""
        day = when.parse_day(text) + timedelta(days=1)
        for zone in self.zones(known_at):
            at = when.midnight(day, zone) - 1
            if self.at(at, known_at).zone == zone:
                return at
        return when.midnight(day, self.zones(known_at)[0]) - 1


class Question:
    """A path with parameters."""

    # How often lifelines may still be asked about this log, which takes its time: [times].
    cross_checks = None

    def __init__(self, path, parameters):
        self.path, self.parameters = path, parameters
        name = path.removesuffix("/deals")
        self.figure = "funnel-period" if name == "funnel" and parameters.get("mode") == "period" else name
        self.troubles = []
        self.pipelines = set(values_of(parameters["pipeline"])) if "pipeline" in parameters else None
        self.within_days = int(parameters["within_days"]) if "within_days" in parameters else None

    def may_cross_check(self):
        """Whether this time is to be compared with lifelines."""
        if not self.cross_checks or not self.cross_checks[0]:
            return False
        self.cross_checks[0] -= 1
        return True

    def __str__(self):
        return f"/v1/{self.path}?" + "&".join(f"{name}={value}" for name, value in self.parameters.items())

    def trouble(self, text):
        """Remembers something that is wrong beside the answer."""
        if text:
            self.troubles.append(text)

    def names_unknown_stage(self, worlds):
        """Whether a filter names a stage that no pipeline had at `as_of`, or at the instant of a point of a series."""
        known_at = known_position(worlds.log, self.parameters.get("known_at"), lambda day: worlds.end_of_day(day, worlds.log.head))
        world = worlds.at(self._as_of(worlds, known_at, when.write(worlds.log.newest)), known_at)
        asked = [world]
        if "series" in self.parameters and self.figure in AT_AN_INSTANT:
            asked += [worlds.at(ends - 1, known_at) for _, _, ends in self._intervals(world)]
        named = set(values_of(self.parameters.get("stage", "")))
        return any(
            not named <= {stage.slug for p in then.definitions.pipelines.values() for stage in p.stages if not stage.later}
            for then in asked)

    def _as_of(self, worlds, known_at, answered):
        text = self.parameters.get("as_of", answered)
        return worlds.end_of_day(text, known_at) if when.is_day(text) else when.instant(text)

    def answer(self, worlds, answered_as_of):
        """What the server should have answered."""
        given = self.parameters
        known_at = known_position(worlds.log, given.get("known_at"), lambda day: worlds.end_of_day(day, worlds.log.head))
        as_of = self._as_of(worlds, known_at, answered_as_of)
        # "The default is now: the server's clock, or the newest event if that is later."
        if "as_of" not in given and as_of < worlds.log.newest and "known_at" not in given:
            self.trouble("without as_of, the answer is older than the newest event")
        self.world = world = worlds.at(as_of, known_at)
        seen = {"position": known_at, "as_of": when.write(as_of)}
        if "series" in given:
            return {**seen, **self._series(worlds, world)}
        period = self._period(world, given.get("from"), given.get("to"))
        if self.path.endswith("/deals"):
            return {**seen, "deals": self._behind(world)}
        return {**seen, **period, **self._grouped(world)}

    def _instant(self, world, text):
        return world.midnight(when.parse_day(text)) if when.is_day(text) else when.instant(text)

    def _period(self, world, begin, end):
        """Sets the period, and returns how the answer says it.

        "By default `to` is just after `as_of`, and `from` is the local midnight that begins the day one calendar year before `to`. If
        `as_of` cuts a period short, the answer says which `to` counted."
        """
        if self.figure == "forecast":
            first = world.today.replace(day=1)
            self.first_day = when.parse_day(begin) if begin else first
            self.day_after = when.parse_day(end) if end else when.next_first_day(self.first_day, "month")
            return {"period": {"from": self.first_day.isoformat(), "to": self.day_after.isoformat()}}
        self.end = min(world.as_of + 1, self._instant(world, end)) if end else world.as_of + 1
        if begin:
            self.start = self._instant(world, begin)
        else:
            to = self._instant(world, end) if end else self.end
            self.start = world.midnight(when.year_before(world.day_of(to)))
        if self.figure in ("pipeline", "board", "time-in-stage"):
            return {}
        return {"from": when.write(self.start), "to": when.write(self.end)}

    def _rows(self, world):
        self.world = world
        passes = filters(world, {k: v for k, v in self.parameters.items() if k not in NO_FILTER})
        made = FIGURES[self.figure][0](world, self)
        return [row for row in made if passes(row[0] if isinstance(row, tuple) else row)]

    def _grouped(self, world):
        rows = self._rows(world)
        compute = FIGURES[self.figure][1]
        whole = compute(world, self, rows)
        if self.figure == "board":
            return whole
        if "by" not in self.parameters:
            return {**whole, "groups": [], "others": None}
        by = self.parameters["by"]
        key = groups.key(world, by)
        sorted_rows = {}
        for row in rows:
            sorted_rows.setdefault(key(row[0] if isinstance(row, tuple) else row), []).append(row)
        return {**whole, "groups": Groups(self, world, by, sorted_rows, compute)}

    def _behind(self, world):
        behind = FIGURES[self.figure][2]
        return [{"deal": deal, "adds": adds} for deal, adds in
                behind(world, self, self._rows(world), self.parameters["number"], self.parameters.get("at_stage"))]

    def _intervals(self, world):
        """"`series` gives the figure for each interval from `from` to `to`. The last interval ends at `as_of` if that comes first.\"

        For each: its first day, and the instants at which it begins and ends."""
        kind, given = self.parameters["series"], self.parameters
        end = self._instant(world, given["to"]) if "to" in given else world.as_of + 1
        start = self._instant(world, given["from"]) if "from" in given else world.midnight(when.year_before(world.day_of(end)))
        end = min(end, world.as_of + 1)
        day = when.first_day(world.day_of(start), kind)
        while world.midnight(day) < end:
            after = when.next_first_day(day, kind)
            yield day, world.midnight(day), min(world.midnight(after), world.as_of + 1)
            day = after

    def _series(self, worlds, world):
        kind, points = self.parameters["series"], []
        for day, begins, ends in self._intervals(world):
            point = {"interval": when.label(day, kind), "from": when.write(begins), "to": when.write(ends)}
            if self.figure in AT_AN_INSTANT:
                then = worlds.at(ends - 1, world.known_at)
                if self.figure == "forecast":
                    # "the forecast for that interval's last month, as of the interval's end"
                    self.first_day = then.today.replace(day=1)
                    self.day_after = when.next_first_day(self.first_day, "month")
                elif self.figure == "velocity":
                    # "as of the interval's end, over the year before it"
                    self.end = ends
                    self.start = then.midnight(when.year_before(then.day_of(ends)))
                points.append({**point, **self._grouped(then)})
            else:
                self.start, self.end = begins, ends
                points.append({**point, **self._grouped(world)})
        return {"series": kind, "points": points}


class Groups:
    """The groups of an answer, still to be computed: which of them are given may depend on ties that the definition leaves open."""

    def __init__(self, question, world, by, rows, compute):
        self.by, self.rows, self.world = by.split(","), rows, world
        # The question as it is for this point of a series.
        self._question, self._compute = copy.copy(question), compute

    def deals(self, key):
        """How many deals a group has."""
        return len({(row[0] if isinstance(row, tuple) else row).snap.deal.id for row in self.rows[key]})

    def figures(self, keys):
        """The figure of the deals of these groups together."""
        self._question.world = self.world
        return self._compute(self.world, self._question, [row for key in keys for row in self.rows[key]])

    def name(self, place, identity):
        """What a group is called."""
        return groups.name(self.world, self.by[place], identity)
