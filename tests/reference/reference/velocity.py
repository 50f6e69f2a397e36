"""Velocity.

"For each pipeline: open deals at `as_of` × win rate × mean won amount ÷ mean won cycle in days, where the last three are over the deals
closed in [`from`, `to`). It is money per day, computed from the exact values and rounded once. It is null where the mean cycle is
under a day. `overdue` counts the open deals that are overdue."
"""

from fractions import Fraction

from . import closed
from .numbers import DAY, days, half_up, mean, money, rate


def rows(world, question):
    """The open deals, and the deals closed in the period."""
    return [row for row in world.current if row.snap.open] + closed.rows(world, question)


def compute(world, question, rows):
    """The answer."""
    pipelines = []
    for pipeline in world.shown(question.pipelines):
        here = [row for row in rows if row.pipeline == pipeline.id]
        still_open = [row for row in here if row.snap.open]
        ended = [row for row in here if not row.snap.open]
        won, _ = closed.split(ended)
        amounts = [row.attributes.amount for row in won if row.attributes.amount is not None]
        worth, cycle = mean(amounts), mean([row.snap.state.closed - row.snap.deal.created for row in won])
        speed = None
        if worth is not None and cycle >= DAY:
            speed = half_up(len(still_open) * Fraction(len(won), len(ended)) * worth / (cycle / DAY))
        pipelines.append({
            "pipeline": pipeline.id, "name": pipeline.name,
            "open": len(still_open), "overdue": sum(row.snap.overdue for row in still_open),
            "win_rate": rate(len(won), len(ended)),
            "won_amount_mean": money(None if worth is None else half_up(worth), world.currency),
            "won_cycle_days_mean": days(cycle),
            "velocity_per_day": money(speed, world.currency),
        })
    return {"pipelines": pipelines}
