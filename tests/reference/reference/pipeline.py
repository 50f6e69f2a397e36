"""The pipeline.

"What is open at `as_of`, for each stage of each pipeline, in order: `deals`, `amount`, `weighted` (the sum of amount × probability
rounded half up to the minor unit; the probability is the deal's own if it has one, else its stage's), `without_amount`,
`age_days_mean`, `age_days_p50` (of the time since each deal entered the stage), `stale`, `overdue`. `total` sums this over stages, and
`closed` has the deals closed by `as_of`: `won` with `won_amount`, `lost` and `excluded`, each in the pipeline where it was closed."
"""

from fractions import Fraction

from .numbers import days, half_up, mean, median, money


def rows(world, question):
    """Every deal, as it counts at `as_of`."""
    return world.current


def weighted(world, snap):
    """What an open deal adds to `weighted`, in minor units; None without an amount."""
    state = snap.state
    if state.amount is None:
        return None
    own = state.probability
    stage = world.stage(state.pipeline, state.stage)
    return half_up(state.amount * (stage.probability if own is None else Fraction(str(own))))


def totals(world, snaps):
    """The figures of open deals."""
    amounts = [snap.state.amount for snap in snaps if snap.state.amount is not None]
    return {
        "deals": len(snaps),
        "amount": money(sum(amounts), world.currency),
        "weighted": money(sum(weighted(world, snap) or 0 for snap in snaps), world.currency),
        "without_amount": len(snaps) - len(amounts),
        "stale": sum(snap.stale for snap in snaps),
        "overdue": sum(snap.overdue for snap in snaps),
    }


def closed(world, snaps):
    """The figures of closed deals."""
    won = [snap for snap in snaps if snap.state.status == "won"]
    lost = [snap for snap in snaps if snap.state.status == "lost"]
    return {
        "won": len(won),
        "won_amount": money(sum(snap.attributes.amount or 0 for snap in won), world.currency),
        "lost": sum(not snap.excluded for snap in lost),
        "excluded": sum(snap.excluded for snap in lost),
    }


def compute(world, question, rows):
    """The answer."""
    snaps = [row.snap for row in rows]
    places, ends = {}, {}
    for snap in snaps:
        if snap.open:
            places.setdefault((snap.state.pipeline, snap.state.stage), []).append(snap)
        else:
            ends.setdefault(snap.state.pipeline, []).append(snap)
    pipelines = []
    for pipeline in world.shown(question.pipelines):
        stages, all_open = [], []
        for stage in pipeline.stages:
            here = places.get((pipeline.id, stage.slug), [])
            all_open += here
            ages = [world.as_of - snap.state.entered for snap in here]
            stages.append({
                "stage": stage.slug, "name": stage.name, "retired": stage.retired, **totals(world, here),
                "age_days_mean": days(mean(ages)), "age_days_p50": days(median(ages)),
            })
        pipelines.append({
            "pipeline": pipeline.id, "name": pipeline.name, "stages": stages,
            "total": totals(world, all_open), "closed": closed(world, ends.get(pipeline.id, [])),
        })
    return {
        "pipelines": pipelines,
        "total": totals(world, [snap for snap in snaps if snap.open]),
        "closed": closed(world, [snap for snap in snaps if not snap.open]),
    }


def behind(world, question, rows, number, stage):
    """What each deal adds to a number."""
    for row in rows:
        snap, amount = row.snap, row.attributes.amount
        if snap.open:
            adds = {
                "deals": 1,
                "amount": money(amount, world.currency),
                "weighted": money(weighted(world, snap), world.currency),
                "without_amount": 1 if amount is None else None,
                "stale": 1 if snap.stale else None,
                "overdue": 1 if snap.overdue else None,
            }.get(number)
        else:
            won = snap.state.status == "won"
            adds = {
                "won": 1 if won else None,
                "won_amount": money(amount, world.currency) if won else None,
                "lost": None if won or snap.excluded else 1,
                "excluded": 1 if snap.excluded else None,
            }.get(number)
        if adds is not None:
            yield snap.deal.id, adds
