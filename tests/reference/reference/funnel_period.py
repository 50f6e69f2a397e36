"""The funnel by period: what happened in [`from`, `to`), to any deal that is not excluded at `as_of`.

"`entered`: visits that began: by creation, a move, reopening or a transfer; `forward`, `back`: visits that ended with a move to a later
or an earlier stage, by the order that the stages had at the move; `transferred`, `won_from`, `lost_from`: visits that ended so;
`open_before`, `open_after`: the deals in the stage just before `from`, and just before `to`. `moves` has, for each pair of stages, the
`count` of moves from one to the other and `days_mean`, the mean time in the stage left."

"An event in a period counts with the attributes that the deal had at that event."
"""

from .numbers import days, mean
from .world import Row


def rows(world, question):
    """A row for each visit that began or ended in the period, and for each deal in a stage before it and at its end."""
    result = []
    for snap in world.snaps:
        if snap.excluded:
            continue
        deal = snap.deal

        def row(number, visit, what):
            at = deal.occurred[number]
            result.append((Row(world, snap, deal.states[number], at, at, None, visit.pipeline, visit.stage), what))

        for visit in snap.deal.visits:
            if question.start <= visit.start < question.end:
                row(visit.began, visit, ("entered", None, None))
            if visit.ended is not None and question.start <= visit.end < question.end:
                if visit.how == "moved":
                    order = world.order_at(visit.pipeline, visit.end)
                    how = "forward" if order[visit.to] > order[visit.stage] else "back"
                    row(visit.ended, visit, (how, visit.to, visit.end - visit.start))
                else:
                    how = {"transferred": "transferred", "won": "won_from", "lost": "lost_from"}[visit.how]
                    row(visit.ended, visit, (how, None, None))
        for name, just_before in (("open_before", question.start), ("open_after", question.end)):
            length = deal.length(just_before - 1)
            if length and deal.states[length - 1].status == "open":
                state = deal.states[length - 1]
                moment = question.start if name == "open_before" else question.end - 1
                result.append((Row(world, snap, state, just_before - 1, moment), (name, None, None)))
    return result


NAMES = ("entered", "forward", "back", "transferred", "won_from", "lost_from", "open_before", "open_after")


def compute(world, question, rows):
    """The answer."""
    counts, moves = {}, {}
    for row, (what, to, time) in rows:
        place = (row.pipeline, row.stage, what)
        counts[place] = counts.get(place, 0) + 1
        if to is not None:
            moves.setdefault((row.pipeline, row.stage, to), []).append(time)
    funnels = []
    for pipeline in world.shown(question.pipelines):
        stages = [
            {"stage": stage.slug, "name": stage.name,
             **{name: counts.get((pipeline.id, stage.slug, name), 0) for name in NAMES}}
            for stage in pipeline.stages
        ]
        steps = [
            {"from": a.slug, "to": b.slug, "count": len(times), "days_mean": days(mean(times))}
            for a in pipeline.stages for b in pipeline.stages
            if (times := moves.get((pipeline.id, a.slug, b.slug)))
        ]
        funnels.append({"pipeline": pipeline.id, "name": pipeline.name, "stages": stages, "moves": steps})
    return {"funnels": funnels}
