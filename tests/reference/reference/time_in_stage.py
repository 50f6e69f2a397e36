"""Time in stage: for each deal and stage, the sum of the deal's visits to that stage up to `as_of`. Excluded deals are left out."""

import copy
import warnings
from fractions import Fraction

from .numbers import DAY, days, mean

# Where lifelines computes in floating point, S may miss a half or a tenth by so little.
_NEAR = 1e-9


def rows(world, question):
    """A row for each deal, with its time in each stage and whether it is there now."""
    result = []
    for current in world.current:
        if current.snap.excluded:
            continue
        # A filter by pipeline chooses the stages that are shown, and not the deals.
        row = copy.copy(current)
        row.passing = next(iter(question.pipelines or [None]))
        times = {}
        for visit in row.snap.deal.visits:
            place = (visit.pipeline, visit.stage)
            end = world.as_of if visit.ended is None else visit.end
            times[place] = times.get(place, 0) + end - visit.start
        state = row.snap.state
        result.append((row, times, (state.pipeline, state.stage) if row.snap.open else None))
    return result


def kaplan_meier(left, censored, levels):
    """The least times x with S(x) at most each of `levels`, compared exactly; None where S does not fall that low.

    "Kaplan-Meier estimates, in which the deals that are in the stage are censored at their time so far. Where a deal leaves and
    another is censored at the same time, the one that leaves comes first."
    """
    leaves = {}
    for time in left:
        leaves[time] = leaves.get(time, 0) + 1
    waiting = sorted(censored)
    found = [None] * len(levels)
    gone = waited = 0
    # S(x) is the product of (at risk - leaving) / (at risk). As long as nobody is censored in between, all but the first denominator
    # and the last numerator cancel out, so S(x) is `before` * remaining / run.
    before, run, remaining = Fraction(1), len(left) + len(waiting), len(left) + len(waiting)
    for time in sorted(leaves):
        while waited < len(waiting) and waiting[waited] < time:
            waited += 1
        at_risk = len(left) - gone + len(waiting) - waited
        if at_risk != remaining:
            before *= Fraction(remaining, run)
            run = at_risk
        gone += leaves[time]
        remaining = at_risk - leaves[time]
        for number, level in enumerate(levels):
            if found[number] is None and \
                    before.numerator * remaining * level.denominator <= level.numerator * before.denominator * run:
                found[number] = time
        if None not in found:
            break
    return found


def cross_check(left, censored, exact):
    """Compares with lifelines, which computes the same in floating point. Returns what differs, or None."""
    import pandas
    from lifelines import KaplanMeierFitter

    frame = pandas.DataFrame({"days": [t / DAY for t in left + censored], "left": [1] * len(left) + [0] * len(censored)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitter = KaplanMeierFitter().fit(frame["days"], frame["left"])
        curve = fitter.survival_function_["KM_estimate"]
        for level, time in zip((0.5, 0.1), exact):
            if ((curve - level).abs() < _NEAR).any():
                continue
            theirs = fitter.percentile(level)
            ours = float("inf") if time is None else time / DAY
            if theirs != ours and not abs(theirs - ours) < 1e-6:
                return f"lifelines has {theirs} days for S <= {level}, exactly it is {ours}"
    return None


def compute(world, question, rows):
    """The answer."""
    done, so_far = {}, {}
    for _, times, now in rows:
        for place, time in times.items():
            (so_far if place == now else done).setdefault(place, []).append(time)
    pipelines = []
    for pipeline in world.shown(question.pipelines):
        stages = []
        for stage in pipeline.stages:
            left, here = done.get((pipeline.id, stage.slug), []), so_far.get((pipeline.id, stage.slug), [])
            exact = kaplan_meier(left, here, (Fraction(1, 2), Fraction(1, 10)))
            if question.may_cross_check() and left:
                question.trouble(cross_check(left, here, exact))
            stages.append({
                "stage": stage.slug, "name": stage.name, "deals": len(left) + len(here), "in_it_now": len(here),
                "days_completed_mean": days(mean(left)), "days_so_far_mean": days(mean(here)),
                "days_median": days(exact[0]), "days_p90": days(exact[1]),
            })
        pipelines.append({"pipeline": pipeline.id, "name": pipeline.name, "stages": stages})
    return {"pipelines": pipelines}
