"""Forecast: what the days [`from`, `to`) will bring, as of `as_of`; by default the local month of `as_of`."""

from fractions import Fraction

from .numbers import DAY, half_up, money
from .pipeline import weighted


def rows(world, question):
    """The open deals, and those that were won with their closing in the period."""
    begin, end = world.midnight(question.first_day), world.midnight(question.day_after)
    return [
        row for row in world.current
        if row.snap.open or row.snap.state.status == "won" and begin <= row.snap.state.closed < end
    ]


def part_of(world, question, snap):
    """Which part of the forecast a deal is in: booked, unscheduled, overdue, expected or None.

    "`unscheduled`: those without an expected close, which are in no other part. `overdue`: if `as_of` lies in the period, all open
    deals whose expected close is before the local date; else none. `expected`: the open deals expected to close in the period, without
    those in `overdue`."
    """
    if not snap.open:
        return "booked"
    day = snap.state.expected
    if day is None:
        return "unscheduled"
    if question.first_day <= world.today < question.day_after and day < world.today:
        return "overdue"
    return "expected" if question.first_day <= day < question.day_after else None


class History:
    """The closings that tell how likely a deal is to be won.

    "`closed` counts the deals, won or lost, that were closed in the same pipeline in the 365 days before `as_of` (the start excluded,
    `as_of` included) and had reached the deal's stage; `won` counts those of them that were won. Filters do not affect these counts."
    """

    def __init__(self, world):
        self.closings = {}
        for snap in world.snaps:
            if snap.open or snap.excluded or not world.as_of - 365 * DAY < snap.state.closed <= world.as_of:
                continue
            pipeline = world.definitions.pipelines[snap.state.pipeline]
            order = pipeline.order
            last = len(order) - 1
            # When the deal first was in each stage or beyond it; a deal that was won is at the last by then.
            steps = [(visit.start, order[visit.stage]) for visit in snap.deal.visits if visit.pipeline == pipeline.id]
            steps += [(visit.end, last) for visit in snap.deal.visits if visit.pipeline == pipeline.id and visit.how == "won"]
            steps.sort()
            first = {}
            for at, place in steps:
                for earlier in range(place + 1):
                    first.setdefault(earlier, at)
            self.closings.setdefault(pipeline.id, []).append((first, snap.state.status == "won", snap.state.closed))

    def counts(self, world, snap, time_left=None):
        """`won` and `closed` for an open deal. With `time_left`, only deals count as won that were won sooner than that after
        reaching the stage."""
        place = world.definitions.pipelines[snap.state.pipeline].order[snap.state.stage]
        reached = [(first[place], won, at) for first, won, at in self.closings.get(snap.state.pipeline, []) if place in first]
        won = sum(won and (time_left is None or at - since < time_left) for since, won, at in reached)
        return won, len(reached)


def history(world):
    """The history of a world, made once."""
    if not hasattr(world, "history"):
        world.history = History(world)
        world.history_counts = {}
    return world.history


def historical(world, snap, time_left=None):
    """amount × (won + 1) / (closed + 2), rounded half up for each deal; None without an amount."""
    if snap.state.amount is None:
        return None
    made = history(world)
    key = (snap.state.pipeline, snap.state.stage, time_left)
    if key not in world.history_counts:
        world.history_counts[key] = made.counts(world, snap, time_left)
    won, closed = world.history_counts[key]
    return half_up(Fraction(snap.state.amount * (won + 1), closed + 2))


def time_left(world, question):
    """"the time the period has left: from `as_of` or its start, whichever is later, to its end\""""
    return world.midnight(question.day_after) - max(world.as_of, world.midnight(question.first_day))


def category(world, snap):
    """"the deal's own forecast category, else its stage's\""""
    return snap.state.category or world.stage(snap.state.pipeline, snap.state.stage).category


def _amount(snaps):
    return sum(snap.attributes.amount or 0 for snap in snaps)


def _part(world, snaps):
    return {
        "deals": len(snaps), "without_amount": sum(snap.state.amount is None for snap in snaps),
        "amount": money(_amount(snaps), world.currency),
        "weighted": money(sum(weighted(world, snap) or 0 for snap in snaps), world.currency),
    }


def compute(world, question, rows):
    """The answer."""
    parts = {}
    for row in rows:
        parts.setdefault(part_of(world, question, row.snap), []).append(row.snap)
    booked, expected, overdue = (parts.get(name, []) for name in ("booked", "expected", "overdue"))
    coming = expected + overdue
    left = time_left(world, question)
    # "Each level includes the one before it: commit = booked + commit; best case = commit + best case; ..."
    categories, level = {}, _amount(booked)
    for name in ("commit", "best_case", "pipeline"):
        some = [snap for snap in coming if category(world, snap) == name]
        level += _amount(some)
        categories[name] = {"part": _part(world, some), "level": money(level, world.currency)}
    categories["omitted"] = _part(world, [snap for snap in coming if category(world, snap) == "omitted"])
    return {
        "booked": {"deals": len(booked), "amount": money(_amount(booked), world.currency)},
        "open": _part(world, [row.snap for row in rows if row.snap.open]),
        "expected": _part(world, expected), "overdue": _part(world, overdue),
        "unscheduled": _part(world, parts.get("unscheduled", [])),
        "booked_and_expected": money(
            _amount(booked) + sum(weighted(world, snap) or 0 for snap in coming), world.currency),
        "categories": categories,
        "historical": money(sum(historical(world, snap) or 0 for snap in coming), world.currency),
        "historical_in_period": money(sum(historical(world, snap, left) or 0 for snap in coming), world.currency),
    }


def behind(world, question, rows, number, stage):
    """What each deal adds to a number."""
    left = time_left(world, question)
    for row in rows:
        snap = row.snap
        part = part_of(world, question, snap)
        amount = snap.attributes.amount
        if number in ("booked", "expected", "overdue", "unscheduled"):
            counts = part == number
            adds = amount
        elif number == "open":
            counts, adds = snap.open, amount
        elif part not in ("expected", "overdue"):
            continue
        elif number in ("historical", "historical_in_period"):
            counts, adds = True, historical(world, snap, left if number == "historical_in_period" else None)
        else:
            counts, adds = category(world, snap) == number, amount
        if counts:
            # A deal without an amount belongs to the number, and adds no money.
            yield snap.deal.id, money(adds or 0, world.currency)
