"""The funnel by cohort: what became of the deals that first came into a pipeline in [`from`, `to`)."""

from .numbers import DAY, rate
from .world import Row


class Fate:
    """What became of a deal in a pipeline that it entered."""

    __slots__ = ("kind", "stage", "furthest", "ever_won")


def fate(world, snap, pipeline, until=None):
    """How a deal stands with a pipeline at `as_of`, or judged only by what happened before `until`.

    "The `furthest` stage of a deal is the highest, in the order of stages at `as_of`, that it was ever in; for a deal that was ever won
    in this pipeline, it is the last. Each deal is in exactly one of these: `excluded`; `left` if it is in another pipeline now; else
    `open`, `won` or `lost`."
    """
    deal = snap.deal
    length = len(deal.states) if until is None else deal.length(until - 1)
    state = deal.states[length - 1]
    order = world.definitions.pipelines[pipeline].order
    here = [visit for visit in deal.visits if visit.began < length and visit.pipeline == pipeline]
    result = Fate()
    result.ever_won = any(visit.how == "won" and visit.ended < length for visit in here)
    result.furthest = len(order) - 1 if result.ever_won else max(order[visit.stage] for visit in here)
    result.stage = here[-1].stage
    if snap.excluded:
        result.kind = "excluded"
    elif state.pipeline != pipeline:
        result.kind = "left"
    else:
        result.kind = state.status
    return result


def rows(world, question):
    """A row for each deal and pipeline that it first came into in the period.

    "With `within_days=N`, only what happened in the first N days after a deal's entry counts, the end excluded, and only deals that
    entered at least N days before `as_of`. Whether a deal is excluded is still judged at `as_of`."
    """
    result = []
    within = question.within_days
    for snap in world.snaps:
        seen = set()
        for visit in snap.deal.visits:
            if visit.pipeline in seen:
                continue
            seen.add(visit.pipeline)
            if not question.start <= visit.start < question.end:
                continue
            if within is not None and visit.start + within * DAY > world.as_of:
                continue
            row = Row(world, snap, moment=visit.start)
            row.passing = visit.pipeline
            until = None if within is None else visit.start + within * DAY
            result.append((row, fate(world, snap, visit.pipeline, until)))
    return result


def compute(world, question, rows):
    """The answer."""
    by_pipeline = {}
    for row, what in rows:
        by_pipeline.setdefault(row.passing, []).append(what)
    funnels = []
    for pipeline in world.shown(question.pipelines):
        fates = by_pipeline.get(pipeline.id, [])
        count = {kind: sum(f.kind == kind for f in fates) for kind in ("open", "won", "lost", "left", "excluded")}
        counted = [f for f in fates if f.kind != "excluded"]
        last = len(pipeline.stages) - 1
        stages = []
        for place, stage in enumerate(pipeline.stages):
            reached = sum(f.furthest >= place for f in counted)
            after = sum(f.furthest > place for f in counted) if place < last else count["won"]
            line = {"stage": stage.slug, "name": stage.name, "reached": reached, "step_conversion": rate(after, reached)}
            for kind, name in (("open", "open_in"), ("lost", "lost_from"), ("left", "left_from")):
                line[name] = sum(f.kind == kind and f.stage == stage.slug for f in counted)
            for kind in ("open", "lost", "left"):
                line[kind + "_furthest"] = sum(f.kind == kind and f.furthest == place for f in counted)
            stages.append(line)
        funnels.append({
            "pipeline": pipeline.id, "name": pipeline.name, "entered": len(fates), **count,
            "overall": rate(count["won"], len(counted)), "stages": stages,
        })
    return {"funnels": funnels}


def behind(world, question, rows, number, stage):
    """The deals behind a number, each of which adds one."""
    for row, what in rows:
        order = world.definitions.pipelines[row.passing].order
        if number == "entered":
            counts = True
        elif number in ("open", "won", "lost", "left", "excluded"):
            counts = what.kind == number
        elif what.kind == "excluded":
            counts = False
        elif number == "reached":
            counts = what.furthest >= order[stage]
        elif number in ("open_in", "lost_from", "left_from"):
            counts = what.kind == number.split("_")[0] and what.stage == stage
        else:
            counts = what.kind == number.split("_")[0] and what.furthest == order[stage]
        if counts:
            yield row.snap.deal.id, 1
