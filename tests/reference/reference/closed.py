"""Closed deals: win rate, losses and cycle, which are about the deals closed at `as_of` whose closing lies in [`from`, `to`); excluded
deals do not count."""

from .numbers import days, mean, median, money, rate


def rows(world, question):
    """The closed deals of the period."""
    return [
        row for row in world.current
        if not row.snap.open and not row.snap.excluded and question.start <= row.snap.state.closed < question.end
    ]


def lost_rows(world, question):
    """The lost deals of the period: losses are about these alone."""
    return [row for row in rows(world, question) if row.snap.state.status == "lost"]


def split(rows):
    """Won rows and lost rows."""
    return ([row for row in rows if row.snap.state.status == "won"], [row for row in rows if row.snap.state.status == "lost"])


def amount(rows):
    """The sum of their amounts, without those that have none."""
    return sum(row.attributes.amount or 0 for row in rows)


def win_rate(world, question, rows):
    """"`by_count` = `won` / (`won` + `lost`). `by_value` is the same over amounts; `lost_without_amount` counts the lost deals that it
    leaves out because they have no amount.\""""
    won, lost = split(rows)
    return {
        "won": len(won), "lost": len(lost),
        "won_amount": money(amount(won), world.currency), "lost_amount": money(amount(lost), world.currency),
        "lost_without_amount": sum(row.attributes.amount is None for row in lost),
        "by_count": rate(len(won), len(rows)), "by_value": rate(amount(won), amount(rows)),
    }


def _lost(world, rows):
    return {"deals": len(rows), "amount": money(amount(rows), world.currency),
            "without_amount": sum(row.attributes.amount is None for row in rows)}


def losses(world, question, rows):
    """"The lost deals with their amounts: in total, by `reasons`, by `competitors` and by the `stages` they were lost from.\""""
    _, lost = split(rows)
    reasons, competitors, stages = {}, {}, {}
    for row in lost:
        reasons.setdefault(row.snap.state.reason, []).append(row)
        competitors.setdefault(row.snap.state.competitor, []).append(row)
        stages.setdefault((row.pipeline, row.stage), []).append(row)
    order = [(p, stage) for p in world.definitions.pipelines.values() for stage in p.stages]
    return {
        **_lost(world, lost),
        "reasons": [{"reason": slug, "name": world.definitions.reasons.get(slug), **_lost(world, reasons[slug])}
                    for slug in reasons],
        "competitors": [{"competitor": who, **_lost(world, competitors[who])} for who in competitors],
        "stages": [{"pipeline": p.id, "stage": stage.slug, "name": stage.name, **_lost(world, stages[p.id, stage.slug])}
                   for p, stage in order if (p.id, stage.slug) in stages],
    }


def _times(rows):
    return [row.snap.state.closed - row.snap.deal.created for row in rows]


def cycle(world, question, rows):
    """"The time from creation to closing, mean and median, for won and for lost deals.\""""
    return {
        kind: {"deals": len(some), "days_mean": days(mean(_times(some))), "days_median": days(median(_times(some)))}
        for kind, some in zip(("won", "lost"), split(rows))
    }


def behind(world, question, rows, number, stage):
    """What each deal adds to a number of the three."""
    for row in rows:
        won, own = row.snap.state.status == "won", row.attributes.amount
        kind, _, what = number.partition("_")
        if kind != ("won" if won else "lost"):
            continue
        adds = {
            "": 1,
            "amount": money(own, world.currency),
            "days": days(row.snap.state.closed - row.snap.deal.created),
            "without_amount": 1 if own is None else None,
        }[what]
        if adds is not None:
            yield row.snap.deal.id, adds
