"""Definitions as of an instant: settings, pipelines, teams and names.

"Pipelines with their stages and probabilities, teams, loss reasons, the time zone and the reporting currency are as they were defined
at `as_of` (the definition with the greatest `occurred_at` up to then). Before the first definition, the first one counts. A deal
can be in a stage that was added to its pipeline later; the stage then has the place that it was given. A user who has joined no
team yet counts in the first team that they join."
"""

from bisect import bisect_right
from fractions import Fraction


def _known(events, known_at):
    return [event for event in events if event["position"] <= known_at]


def _in_force(events, as_of):
    """The latest of the events that had happened by `as_of`, or else the first; None of nothing."""
    past = [event for event in events if event["at"] <= as_of]
    return past[-1] if past else (events[0] if events else None)


class Stage:
    """A stage as it was defined."""

    def __init__(self, data):
        self.slug = data["slug"]
        self.retired = False
        self.later = False
        self.revise(data)

    def revise(self, data):
        """Takes another definition."""
        self.name = data["name"]
        self.probability = Fraction(str(data["probability"]))
        self.stale_after_days = data["stale_after_days"]
        self.category = data["forecast_category"]


class Pipeline:
    """A pipeline as it was defined at an instant, with the stages that were added to it later marked as such."""

    def __init__(self, identity, events, as_of):
        self.id, self.stages = identity, []
        self.defined = events[0]["position"]
        for event in events:
            kind, data = event["type"], event["data"]
            past = event["at"] <= as_of
            if kind == "pipeline.defined":
                self.name = data["name"]
                self.stages = [Stage(stage) for stage in data["stages"]]
            elif kind == "pipeline.stage_added":
                # What had been added later still has the place that it was given.
                stage = Stage(data["stage"])
                stage.later = not past
                place = 0 if data["after"] is None else self._place(data["after"]) + 1
                self.stages.insert(place, stage)
            elif not past:
                continue
            elif kind == "pipeline.stage_retired":
                self.stage(data["stage"]).retired = True
            elif kind == "pipeline.stage_revised":
                self.stage(data["to"]["slug"]).revise(data["to"])
            elif kind == "pipeline.stages_reordered":
                self.stages.sort(key=lambda stage: data["to"].index(stage.slug))
        self._number()

    def _number(self):
        self.order = {stage.slug: place for place, stage in enumerate(self.stages)}

    def keep(self, visited):
        """Leaves out the stages that were added later and that no deal was ever in."""
        self.stages = [stage for stage in self.stages if not stage.later or (self.id, stage.slug) in visited]
        self._number()

    def _place(self, slug):
        return next(place for place, stage in enumerate(self.stages) if stage.slug == slug)

    def stage(self, slug):
        """The stage of this name."""
        return self.stages[self._place(slug)]


class Definitions:
    """All definitions as of an instant, as far as they were known."""

    def __init__(self, log, as_of, known_at):
        settings = _known(log.streams.get("settings", {}).get("", []), known_at)
        of = lambda kind: [event for event in settings if event["type"] == "settings." + kind]
        zone, currency = _in_force(of("time_zone_set"), as_of), _in_force(of("reporting_currency_set"), as_of)
        reasons, fields = _in_force(of("loss_reasons_set"), as_of), _in_force(of("fields_defined"), as_of)
        self.zone = zone["data"]["to"] if zone else "UTC"
        self.currency = currency["data"]["to"] if currency else None
        self.reasons = {reason["slug"]: reason["name"] for reason in reasons["data"]["to"]} if reasons else {}
        self.fields = {field["slug"]: field for field in fields["data"]["to"] if field["of"] == "deal"} if fields else {}

        pipelines = []
        for identity, events in log.streams.get("pipeline", {}).items():
            events = _known(events, known_at)
            if events:
                pipelines.append(Pipeline(identity, events, as_of))
        self.pipelines = {p.id: p for p in sorted(pipelines, key=lambda p: p.defined)}

        self.users = {i: e[0]["data"]["name"]["value"] for i, e in log.streams.get("user", {}).items() if _known(e, known_at)}
        self.teams = {i: e[0]["data"]["name"] for i, e in log.streams.get("team", {}).items() if _known(e, known_at)}
        self.customers = {}
        for identity, events in log.streams.get("customer", {}).items():
            named = [e for e in _known(events, known_at) if e["type"] in ("customer.registered", "customer.renamed")]
            if named:
                data = _in_force(named, as_of)["data"]
                self.customers[identity] = data["name"] if "name" in data else data["to"]
        self.membership = Membership(log, known_at)


class Membership:
    """Who was in which teams when."""

    def __init__(self, log, known_at):
        self.changes = {}
        for team, events in log.streams.get("team", {}).items():
            for event in _known(events, known_at):
                if event["type"] in ("team.member_added", "team.member_removed"):
                    joins = event["type"] == "team.member_added"
                    self.changes.setdefault(event["data"]["user"], []).append((event["at"], event["position"], team, joins))
        self.times = {}
        for user, changes in self.changes.items():
            changes.sort()
            self.times[user] = [change[0] for change in changes]

    def teams(self, user, at):
        """The teams that a user was in at an instant; before the first that they join, that one."""
        if user is None or user not in self.changes:
            return frozenset()
        changes = self.changes[user]
        past = changes[: bisect_right(self.times[user], at)]
        if not past:
            return frozenset({changes[0][2]})
        teams = set()
        for _, _, team, joins in past:
            (teams.add if joins else teams.discard)(team)
        return frozenset(teams)


def pipeline_at(log, identity, at, known_at, cache):
    """A pipeline as it was defined at an instant, for the order of its stages then."""
    events = _known(log.streams["pipeline"][identity], known_at)
    key = (identity, known_at, bisect_right([event["at"] for event in events], at))
    if key not in cache:
        cache[key] = Pipeline(identity, events, at)
    return cache[key]
