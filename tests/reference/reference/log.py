"""The log: every event, sorted into deals and definitions, with the course of a deal that so many of its events make."""

import copy
from bisect import bisect_right

from . import when
from .numbers import to_minor


class State:
    """What a deal is like after an event."""

    __slots__ = (
        "pipeline", "stage", "status", "counted", "entered", "amount", "owner", "customer", "source", "campaign", "expected",
        "probability", "category", "fields", "reason", "competitor", "closed", "closing", "own",
    )


class Visit:
    """A stay of a deal in a stage: from `start` to `end`, with the numbers of the events that began and ended it."""

    __slots__ = ("pipeline", "stage", "start", "began", "end", "ended", "how", "to")

    def __init__(self, pipeline, stage, start, began):
        self.pipeline, self.stage, self.start, self.began = pipeline, stage, start, began
        self.end = self.ended = self.how = self.to = None


class Deal:
    """A deal: its events as they were recorded."""

    def __init__(self, identity):
        self.id = identity
        self.events, self.occurred, self.positions, self._courses = [], [], [], {}

    def append(self, event):
        """Takes the next event."""
        assert not self.occurred or self.occurred[-1] <= event["at"], "the events of a deal are in the order in which they happened"
        self.events.append(event)
        self.occurred.append(event["at"])
        self.positions.append(event["position"])

    def course(self, as_of, known_at):
        """What the events make that had happened by `as_of` and been recorded by `known_at`; None before the first."""
        length = min(bisect_right(self.occurred, as_of), bisect_right(self.positions, known_at))
        if length and length not in self._courses:
            self._courses[length] = Course(self.id, normal(self.events[:length]))
        return self._courses[length] if length else None


def normal(events):
    """The events of a deal as they count, as (type, data, the instant at which it counts).

    "`deal.undone` takes back the events at the positions that it lists: the figures are what they would be without these events and
    without the undoing. `deal.closing_corrected` changes what its `to` names, and figures take the closing as if it had been recorded
    like that. Whatever was recorded before the closing counts no later than `closed_at`. And whatever was recorded after the closing
    counts no earlier."
    """
    undone = {position for event in events if event["type"] == "deal.undone" for position in event["data"]["events"]}
    counting, closings = [], []
    for event in events:
        if event["position"] in undone or event["type"] == "deal.undone":
            continue
        kind, data = event["type"], event["data"]
        if kind == "deal.closing_corrected":
            # A closed deal's amount does not change but like that, so it is also the one that "the deal keeps".
            closing = counting[closings[-1]]
            closing[1] = {**closing[1], **data["to"]}
            continue
        if kind in ("deal.won", "deal.lost"):
            closings.append(len(counting))
        counting.append([kind, data, event["at"]])
    for place in closings:
        closed = when.instant(counting[place][1]["closed_at"])
        counting[place][2] = closed
        for event in counting[:place]:
            event[2] = min(event[2], closed)
        for event in counting[place + 1:]:
            event[2] = max(event[2], closed)
    return counting


class Course:
    """What became of a deal: its events as they count, its state after each, and its visits to stages."""

    def __init__(self, identity, events):
        self.id = identity
        self.occurred, self.states, self.visits = [], [], []
        for kind, data, at in events:
            self._apply(kind, data, at)

    @property
    def created(self):
        """When it was created."""
        return self.occurred[0]

    def length(self, until):
        """How many of its events count up to an instant."""
        return bisect_right(self.occurred, until)

    def _apply(self, kind, data, at):
        number = len(self.states)
        assert not self.occurred or self.occurred[-1] <= at, "a closing was not before the creation or the last reopening"
        self.occurred.append(at)
        if kind == "deal.created":
            state = State()
            state.pipeline, state.stage, state.status, state.counted = data["pipeline"], data["stage"], "open", True
            state.entered, state.amount = at, _amount(data["amount"])
            state.owner = state.own = data["owner"]
            state.customer, state.source = data["customer"], data["source"]
            state.campaign, state.fields = data["campaign"], dict(data["fields"])
            state.expected = data["expected_close"] and when.parse_day(data["expected_close"])
            state.probability = state.category = state.reason = state.competitor = state.closed = state.closing = None
            self._enter(state, at, number)
        else:
            state = copy.copy(self.states[-1])
            # A corrected closing may be credited to someone else: "it keeps its own owner in any case".
            state.owner = state.own
            getattr(self, "_" + kind.removeprefix("deal."))(state, data, at, number)
        self.states.append(state)

    def _enter(self, state, at, number):
        state.entered = at
        self.visits.append(Visit(state.pipeline, state.stage, at, number))

    def _leave(self, how, at, number, to=None):
        visit = self.visits[-1]
        assert visit.end is None
        visit.end, visit.ended, visit.how, visit.to = at, number, how, to

    def _stage_moved(self, state, data, at, number):
        self._leave("moved", at, number, data["to"])
        state.stage = data["to"]
        self._enter(state, at, number)

    def _transferred(self, state, data, at, number):
        self._leave("transferred", at, number)
        state.pipeline, state.stage = data["to"]["pipeline"], data["to"]["stage"]
        self._enter(state, at, number)

    def _won(self, state, data, at, number):
        self._leave("won", at, number)
        state.status, state.counted, state.amount = "won", True, _amount(data["amount"])
        state.owner = data.get("owner", state.owner)
        state.closed, state.closing, state.reason, state.competitor = at, number, None, None

    def _lost(self, state, data, at, number):
        self._leave("lost", at, number)
        state.status, state.counted = "lost", data["counted"]
        state.owner = data.get("owner", state.owner)
        state.closed, state.closing, state.reason, state.competitor = at, number, data["reason"], data["competitor"]

    def _reopened(self, state, data, at, number):
        state.status, state.counted, state.stage = "open", True, data["stage"]
        state.closed = state.closing = state.reason = state.competitor = None
        self._enter(state, at, number)

    def _amount_changed(self, state, data, at, number):
        state.amount = _amount(data["to"])

    def _campaign_changed(self, state, data, at, number):
        state.campaign = data["to"]

    def _customer_linked(self, state, data, at, number):
        state.customer = data["to"]

    def _expected_close_changed(self, state, data, at, number):
        state.expected = data["to"] and when.parse_day(data["to"])

    def _field_set(self, state, data, at, number):
        state.fields = {**state.fields, data["field"]: data["to"]}
        if data["to"] is None:
            del state.fields[data["field"]]

    def _forecast_category_set(self, state, data, at, number):
        state.category = data["to"]

    def _owner_assigned(self, state, data, at, number):
        state.owner = state.own = data["to"]

    def _probability_set(self, state, data, at, number):
        state.probability = data["to"]

    def _probability_cleared(self, state, data, at, number):
        state.probability = None

    def _source_changed(self, state, data, at, number):
        state.source = data["to"]

    def _title_changed(self, state, data, at, number):
        pass


def _amount(amount):
    return None if amount is None else to_minor(amount["amount"], amount["currency"])


class Log:
    """All events, as they came from GET /v1/events."""

    def __init__(self, events):
        self.deals, self.streams = {}, {}
        self.head = len(events)
        self.newest = 0
        for number, event in enumerate(events, 1):
            assert event["position"] == number, "positions begin at 1 and have no gaps"
            event["at"] = when.instant(event["occurred_at"])
            event["recorded"] = when.instant(event["recorded_at"])
            self.newest = max(self.newest, event["at"])
            category, _, identity = event["stream"].partition("-")
            if category == "deal":
                self.deals.setdefault(identity, Deal(identity)).append(event)
            else:
                self.streams.setdefault(category, {}).setdefault(identity, []).append(event)
        self.recorded = [event["recorded"] for event in events]
        self.all = events
