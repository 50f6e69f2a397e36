"""The questions that are asked about a log: every figure as of several instants and by what was known at several positions, and then
many more by chance, with a fixed seed."""

from datetime import timedelta

from . import when
from .numbers import money
from .question import Question

FIGURES = ["pipeline", "board", "funnel", "funnel-period", "time-in-stage", "win-rate", "losses", "cycle", "velocity", "forecast"]
NUMBERS = {
    "pipeline": ["deals", "amount", "weighted", "without_amount", "stale", "overdue", "won", "won_amount", "lost", "excluded"],
    "funnel": ["entered", "open", "won", "lost", "left", "excluded"],
    "funnel-stage": ["reached", "open_in", "lost_from", "left_from", "open_furthest", "lost_furthest", "left_furthest"],
    "forecast": ["booked", "open", "expected", "overdue", "unscheduled", "commit", "best_case", "pipeline", "omitted", "historical",
                 "historical_in_period"],
    "closed": ["won", "won_amount", "won_days", "lost", "lost_amount", "lost_days", "lost_without_amount"],
}
SIMPLE_KEYS = ["owner", "team", "source", "campaign", "customer", "pipeline", "stage", "loss_reason", "competitor", "week", "month",
               "quarter", "year"]


def escape(value):
    """A value of a filter as it is written in a list."""
    return value.replace(",", "\\,")


class Maker:
    """Makes questions about one log."""

    def __init__(self, log, worlds, rng, instants, positions):
        self.log, self.worlds, self.rng = log, worlds, rng
        self.instants, self.positions = instants, positions
        self.world = worlds.at(log.newest, log.head)
        # What is known when the first question about a past position is asked.
        self.known = min([log.head] + [p for p in positions if isinstance(p, int)])
        courses = [course for deal in log.deals.values() if (course := deal.course(log.newest, self.known))]
        states = [state for course in courses for state in course.states]
        some = lambda name: sorted({getattr(state, name) for state in states if getattr(state, name) is not None})
        world = worlds.at(log.newest, self.known).definitions
        self.values = {name: some(name) for name in ("owner", "customer", "source", "campaign", "competitor")}
        self.values["loss_reason"] = some("reason")
        self.values["team"] = sorted(world.teams)
        self.values["pipeline"] = list(world.pipelines)
        self.values["stage"] = some("stage")
        self.amounts = some("amount")
        self.fields = {slug: f for slug, f in world.fields.items() if f["kind"] != "text"}
        self.used = {slug: sorted({str(s.fields[slug]) for s in states if slug in s.fields}) for slug in self.fields}
        snaps = self.world.snaps
        self.days = sorted({when.local_day(snap.deal.created, self.world.zone) for snap in snaps})
        # When something was recorded as having happened, and when it counts.
        self.moments = [at for deal in log.deals.values() for at in deal.occurred] + [at for s in snaps for at in s.deal.occurred]

    def question(self, figure, parameters):
        """A question; the funnel by period is one of the modes of the funnel."""
        if figure == "funnel-period":
            return Question("funnel", {"mode": "period", **parameters})
        return Question(figure, parameters)

    def basic(self):
        """Every figure at every instant, and by what was known at each position."""
        for as_of in self.instants:
            for figure in FIGURES:
                yield self.question(figure, {} if as_of is None else {"as_of": as_of})
        for number, known_at in enumerate(self.positions):
            for figure in FIGURES:
                yield self.question(figure, {"known_at": str(known_at)})
                yield self.question(figure, {"known_at": str(known_at), "as_of": self.instants[number % (len(self.instants) - 1)]})

    def each_parameter(self, count=None):
        """Each filter and each group by itself, for every figure that takes it or for so many of them, and `within_days`."""
        as_of = self.instants[1]
        every = [figure for figure in FIGURES if figure != "board"]
        chosen = lambda: every if count is None else self.rng.sample(every, count)
        for name in list(self.values) + ["fields." + slug for slug in self.fields] + ["stale", "overdue"]:
            for figure in chosen():
                some = self.one_filter(name)
                yield self.question(figure, {"as_of": as_of, **some})
        for by in SIMPLE_KEYS + ["fields." + slug for slug in self.fields]:
            for figure in chosen():
                yield self.question(figure, {"as_of": as_of, "by": by, "groups": "12"})
        for days in ("1", "30", "120"):
            yield self.question("funnel", {"as_of": as_of, "within_days": days})
            yield self.question("funnel", {"as_of": as_of, "within_days": days, "by": self.rng.choice(SIMPLE_KEYS)})
        for kind in ("week", "month", "quarter", "year"):
            for figure in chosen():
                since = {"week": 40, "month": 200, "quarter": 500, "year": 800}[kind]
                from_ = (when.parse_day(as_of[:10]) - timedelta(days=since)).isoformat()
                yield self.question(figure, {"as_of": as_of, "series": kind, "from": from_})

    def over_a_change_of_zone(self):
        """Courses over the time at which the time zone changes: each point has the days of its own zone."""
        settings = self.log.streams.get("settings", {}).get("", [])
        changes = [e["at"] for e in settings if e["type"] == "settings.time_zone_set"][1:]
        for change in changes:
            asked = when.local_day(change, "UTC") + timedelta(days=80)
            common = {"as_of": asked.isoformat(), "from": (asked - timedelta(days=200)).isoformat(), "series": "month"}
            for figure in FIGURES:
                if figure != "board":
                    yield self.question(figure, {**common, "by": "week"})
                    for name in ("created", "closed"):
                        # Days at whose beginning things happen in a random log, so that the zone makes a difference.
                        yield self.question(figure, {**common, f"{name}_from": "2023-04-01", f"{name}_to": "2024-01-01"})

    def behind(self):
        """The deals behind every number."""
        rng = self.rng
        for figure, numbers in NUMBERS.items():
            for number in numbers:
                parameters = {"as_of": rng.choice(self.instants[:-1]), "number": number}
                if figure.startswith("funnel"):
                    pipeline = rng.choice(self.values["pipeline"])
                    parameters["pipeline"] = pipeline
                    if figure == "funnel-stage":
                        stages = self.stages_at(parameters["as_of"], pipeline)
                        parameters["at_stage"] = rng.choice(stages)
                    if rng.random() < 0.3:
                        parameters["within_days"] = rng.choice(["20", "90"])
                if rng.random() < 0.4:
                    parameters |= self.one_filter(rng.choice(["owner", "team", "source", "stage", "customer"]))
                yield Question(figure.removesuffix("-stage") + "/deals", parameters)

    def stages_at(self, as_of, pipeline):
        """The stages that a pipeline had at an instant."""
        at = self.worlds.end_of_day(as_of, self.log.head) if when.is_day(as_of) else when.instant(as_of)
        stages = self.worlds.at(at, self.log.head).definitions.pipelines[pipeline].stages
        return [stage.slug for stage in stages if not stage.later]

    def one_filter(self, name):
        """A filter by this parameter, with one or several values, or a range."""
        rng = self.rng
        if name in ("stale", "overdue"):
            return {name: rng.choice(["true", "false"])}
        if name.startswith("fields."):
            slug = name.removeprefix("fields.")
            kind, used = self.fields[slug]["kind"], self.used[slug]
            if not used:
                return {}
            if kind in ("integer", "decimal", "date") and rng.random() < 0.6:
                ends = sorted(rng.choices(used, k=2), key=lambda text: text if kind == "date" else float(text))
                return rng.choice([{f"{name}.from": ends[0]}, {f"{name}.to": ends[1]},
                                   {f"{name}.from": ends[0], f"{name}.to": ends[1]}])
            if kind == "boolean":
                return {name: rng.choice(["true", "false"])}
            return {name: ",".join(escape(value) for value in rng.sample(used, min(len(used), rng.randint(1, 2))))}
        if not self.values.get(name):
            return {}
        pool = self.values[name] + (["none"] if name == "owner" else [])
        return {name: ",".join(escape(value) for value in rng.sample(pool, min(len(pool), rng.randint(1, 3))))}

    def a_range(self):
        """A range of times, days or amounts."""
        rng = self.rng
        name = rng.choice(["created", "closed", "expected", "amount"])
        if name == "amount":
            if not self.amounts:
                return {}
            ends = sorted(rng.choices(self.amounts, k=2))
            ends = [money(end, self.world.currency)["amount"] for end in ends]
        else:
            days = sorted(rng.choices(self.days, k=2))
            ends = [day.isoformat() for day in days]
            if name != "expected" and rng.random() < 0.4:
                at = rng.choice(self.moments)
                ends[1] = when.write(max(at, when.midnight(days[0], self.world.zone) + 40 * 3600 * 10**6))
        return rng.choice([{f"{name}_from": ends[0]}, {f"{name}_to": ends[1]}, {f"{name}_from": ends[0], f"{name}_to": ends[1]}])

    def refused(self):
        """Questions that are to be refused: "A query that names something unknown, or a range whose end comes before its start, is
        refused", and a period that begins after `as_of`."""
        as_of, nobody = self.instants[1], "00000000-0000-4000-8000-000000000000"
        later = (when.parse_day(as_of) + timedelta(days=2)).isoformat()
        wrong = [{name: nobody} for name in ("owner", "team", "customer", "campaign", "pipeline")]
        wrong += [{"source": "Nowhere"}, {"stage": "nowhere"}, {"loss_reason": "no_such"}, {"competitor": "Nobody, Ltd"}]
        wrong += [{"fields.nothing": "1"}, {"by": "fields.nothing"}, {"by": "owner,owner,team"}, {"groups": "0"}]
        for name in ("created", "closed", "expected"):
            wrong.append({f"{name}_from": "2024-02-02", f"{name}_to": "2024-02-01"})
        wrong.append({"amount_from": "2", "amount_to": "1"})
        for parameters in wrong:
            yield self.question("pipeline", {"as_of": as_of, **parameters})
        for figure in ("funnel", "funnel-period", "win-rate", "losses", "cycle", "velocity"):
            yield self.question(figure, {"as_of": as_of, "from": later})
            yield self.question(figure, {"as_of": as_of, "from": as_of, "to": (when.parse_day(as_of) - timedelta(1)).isoformat()})

    def by_chance(self, count):
        """So many questions with whatever parameters."""
        rng = self.rng
        for _ in range(count):
            figure = rng.choice(FIGURES)
            parameters = {}
            as_of = rng.choice(self.instants)
            if as_of is not None:
                parameters["as_of"] = as_of
            if rng.random() < 0.2:
                parameters["known_at"] = str(rng.choice(self.positions))
            if figure == "board":
                if rng.random() < 0.5:
                    parameters["pipeline"] = rng.choice(self.values["pipeline"])
                for _ in range(rng.choice([0, 1, 2])):
                    names = [name for name in self.values if name not in ("pipeline", "stage")]
                    parameters |= self.one_filter(rng.choice(names + ["fields." + slug for slug in self.fields] + ["stale", "overdue"]))
                yield self.question(figure, parameters)
                continue
            for _ in range(rng.choice([0, 1, 1, 2])):
                name = rng.choice(list(self.values) + ["fields." + slug for slug in self.fields] + ["stale", "overdue"])
                parameters |= self.one_filter(name)
            if rng.random() < 0.3:
                parameters |= self.a_range()
            if rng.random() < 0.5:
                keys = SIMPLE_KEYS + ["fields." + slug for slug in self.fields]
                parameters["by"] = ",".join(rng.sample(keys, rng.choice([1, 2, 2])))
                if rng.random() < 0.7:
                    parameters["groups"] = str(rng.choice([1, 2, 5, 20]))
            if figure == "funnel" and rng.random() < 0.4:
                parameters["within_days"] = str(rng.choice([1, 14, 60, 200]))
            asked = when.parse_day(as_of[:10]) if as_of else self.days[-1]
            if rng.random() < 0.2 and "within_days" not in parameters:
                parameters["series"] = rng.choice(["month", "quarter"])
                parameters["from"] = (asked - timedelta(days=rng.randint(60, 200))).isoformat()
            elif figure == "forecast" and rng.random() < 0.6:
                first = asked + timedelta(days=rng.choice([-60, -10, 0, 10, 40]))
                parameters["from"] = first.isoformat()
                parameters["to"] = (first + timedelta(days=rng.choice([1, 30, 92]))).isoformat()
            elif figure not in ("pipeline", "time-in-stage", "forecast") and rng.random() < 0.6:
                first = asked - timedelta(days=rng.randint(1, 400))
                parameters["from"] = first.isoformat()
                if rng.random() < 0.2:
                    # A year before its end, which may lie after `as_of`.
                    del parameters["from"]
                    parameters["to"] = (asked + timedelta(days=rng.choice([-30, 90]))).isoformat()
                elif rng.random() < 0.5:
                    parameters["to"] = (first + timedelta(days=rng.choice([1, 31, 90, 500]))).isoformat()
            yield self.question(figure, parameters)
