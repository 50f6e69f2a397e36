"""The log: every event, sorted into deals and definitions, with what a deal was like after each of its events."""

import copy
from bisect import bisect_right

from . import when
from .numbers import to_minor


class State:
    """What a deal is like after an event."""

    __slots__ = (
        "pipeline", "stage", "status", "counted", "entered", "amount", "owner", "customer", "source", "campaign", "expected",
        "probability", "category", "fields", "reason", "competitor", "closed", "closing",
    )


class Visit:
    """A stay of a deal in a stage: from `start` to `end`, with the numbers of the events that began and ended it."""

    __slots__ = ("pipeline", "stage", "start", "began", "end", "ended", "how", "to")

    def __init__(self, pipeline, stage, start, began):
        self.pipeline, self.stage, self.start, self.began = pipeline, stage, start, began
        self.end = self.ended = self.how = self.to = None


class Deal:
    """A deal: its events, and its state after each."""

    def __init__(self, identity):
        self.id = identity
        self.occurred, self.positions, self.states, self.visits = [], [], [], []

    @property
    def created(self):
        """When it was created."""
        return self.occurred[0]

    def length(self, as_of, known_at):
        """How many of its events count: those that had happened by `as_of` and been recorded by `known_at`."""
        return min(bisect_right(self.occurred, as_of), bisect_right(self.positions, known_at))

    def apply(self, event):
        """Takes the next event."""
        kind, data, at = event["type"], event["data"], event["at"]
        number = len(self.states)
        assert not self.occurred or self.occurred[-1] <= at, "the events of a deal are in the order in which they happened"
        self.occurred.append(at)
        self.positions.append(event["position"])
        if kind == "deal.created":
            state = State()
            state.pipeline, state.stage, state.status, state.counted = data["pipeline"], data["stage"], "open", True
            state.entered, state.amount = at, _amount(data["amount"])
            state.owner, state.customer, state.source = data["owner"], data["customer"], data["source"]
            state.campaign, state.fields = data["campaign"], dict(data["fields"])
            state.expected = data["expected_close"] and when.parse_day(data["expected_close"])
            state.probability = state.category = state.reason = state.competitor = state.closed = state.closing = None
            self._enter(state, at, number)
        else:
            state = copy.copy(self.states[-1])
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
        state.closed, state.closing, state.reason, state.competitor = at, number, None, None

    def _lost(self, state, data, at, number):
        self._leave("lost", at, number)
        state.status, state.counted = "lost", data["counted"]
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
        state.owner = data["to"]

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
                self.deals.setdefault(identity, Deal(identity)).apply(event)
            else:
                self.streams.setdefault(category, {}).setdefault(identity, []).append(event)
        self.recorded = [event["recorded"] for event in events]
        self.all = events
