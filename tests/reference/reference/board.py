"""The board: "the columns of the pipeline you ask for: the same figures for each stage, without ages and without closed deals"."""

from . import pipeline


def compute(world, question, rows):
    """The columns with their figures; with the ids of the deals, longest in the stage first."""
    wanted = world.shown(question.pipelines)[0]
    columns = []
    for stage in wanted.stages:
        here = [r.snap for r in rows if r.snap.open and (r.pipeline, r.stage) == (wanted.id, stage.slug)]
        columns.append({"stage": stage.slug, "name": stage.name, **pipeline.totals(world, here), "cards": sorted(
            (snap.state.entered, snap.deal.id, snap.stale, snap.overdue) for snap in here)})
    return {"pipeline": wanted.id, "name": wanted.name, "columns": columns}


rows = pipeline.rows
