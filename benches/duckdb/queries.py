"""The figures of docs/figures.md in SQL, on spans, visits and stages.

For each figure there is a function that gives its statements, and one that makes numbers by name of their rows: the names
are those of benches/src/figures/numbers.rs. SQL does all that depends on the number of deals; what is left here is to name
things and to round.
"""

from datetime import datetime, timedelta, timezone

DAY = 86_400_000_000
NEVER_AT = 2**63 - 1
NEVER_POSITION = 2**32 - 1
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

OPEN, WON, LOST, EXCLUDED = range(4)
LEFT = 4
"""In a funnel, beside the four: the deal went to another pipeline."""
WON_FROM = 3
"""How a visit ended, in visits.how."""

WEIGHTED = "(amount * coalesce(s.probability, g.probability) + 5000) // 10000"


# Where a question stops.


def spans_at(question: dict) -> str:
    """Which span is the deal at the instant and the position asked about."""
    at, position = question["at"], question["position"]
    return {
        "now": f"next_position = {NEVER_POSITION}",
        "as_of": f"since <= {at} AND until > {at}",
        "known_at": f"position <= {position} AND next_position > {position}",
        "both": f"since <= {at} AND position <= {position} AND (until > {at} OR next_position > {position})",
    }[question["past"]]


def visits_at(question: dict) -> tuple[str, str]:
    """Which visits had begun, and which of those had ended."""
    at, position = question["at"], question["position"]
    return {
        "now": ("true", "how > 0"),
        "as_of": (f"entered_at <= {at}", f"left_at <= {at}"),
        "known_at": (f"position <= {position}", f"left_position <= {position}"),
        "both": (
            f"entered_at <= {at} AND position <= {position}",
            f"left_at <= {at} AND left_position <= {position}",
        ),
    }[question["past"]]


def instant(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


def micros(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def month_after(time: datetime) -> datetime:
    first = time.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=31)).replace(day=1)


# Rounding, half up.


def divide(above: int, below: int) -> int:
    return (above + below // 2) // below


def mean_days(total: int, count: int) -> int:
    """Hundredths of a day."""
    return divide(int(total) * 100, int(count) * DAY) if count else 0


def median_days(median: float | None) -> int:
    """Hundredths of a day. A median is the mean of two integers, so twice it is one."""
    return 0 if median is None else divide(int(2 * median) * 100, 2 * DAY)


# Pipeline, columns, series.


def open_figures(at: str, today: str, ages: bool) -> str:
    columns = f"""count(*), sum(amount), sum({WEIGHTED}), count(*) - count(amount),
        count(*) FILTER ({at} - entered_at > g.stale_days * {DAY}), count(*) FILTER (expected_close < {today})"""
    return f"{columns}, sum({at} - entered_at), median({at} - entered_at)" if ages else columns


def open_numbers(of: str, row: tuple) -> dict:
    deals, amount, weighted, without, stale, overdue, *ages = row
    numbers = {
        "deals": deals, "amount": amount, "weighted": weighted, "without_amount": without, "stale": stale,
        "overdue": overdue,
    }
    if ages:
        numbers |= {"age_mean": mean_days(ages[0], deals), "age_median": median_days(ages[1])}
    return {f"{of}.{name}": number for name, number in numbers.items()}


def closed_numbers(of: str, status: int, deals: int, amount: int) -> dict:
    numbers = {f"{of}.{({WON: 'won', LOST: 'lost', EXCLUDED: 'excluded'})[status]}": deals}
    return numbers | ({f"{of}.won_amount": amount} if status == WON else {})


def pipeline(question: dict) -> list[str]:
    at, today = question["at"], f"DATE '{instant(question['at']).date()}'"
    state = spans_at(question)
    return [
        f"""SELECT s.stage, {open_figures(at, today, ages=True)} FROM spans s JOIN stages g USING (stage)
            WHERE {state} AND status = {OPEN}
            GROUP BY s.stage""",
        f"SELECT pipeline, status, count(*), sum(amount) FROM spans WHERE {state} AND status <> {OPEN} GROUP BY ALL",
    ]


def pipeline_numbers(rows: list, _: dict) -> dict:
    open_rows, closed_rows = rows
    numbers = {}
    for stage, *row in open_rows:
        numbers |= open_numbers(f"stage {stage}", row)
    for number, status, deals, amount in closed_rows:
        numbers |= closed_numbers(f"pipeline {number}", status, deals, amount)
    return numbers


def columns(question: dict) -> list[str]:
    at, today = question["at"], f"DATE '{instant(question['at']).date()}'"
    return [
        f"""SELECT s.stage, {open_figures(at, today, ages=False)} FROM spans s JOIN stages g USING (stage)
            WHERE {spans_at(question)} AND status = {OPEN} AND s.pipeline = 0 GROUP BY s.stage"""
    ]


def columns_numbers(rows: list, question: dict) -> dict:
    return pipeline_numbers([rows[0], []], question)


def ends_of_months(question: dict) -> list[tuple[str, int, str]]:
    """Each month from the first on, its last instant or the one asked about, and the day of that."""
    ends, begins = [], instant(question["first"]).replace(day=1)
    while micros(begins) < question["to"]:
        end = min(micros(month_after(begins)) - 1, question["at"])
        ends.append((f"{begins:%Y-%m}", end, f"{instant(end).date()}"))
        begins = month_after(begins)
    return ends


def series(question: dict) -> list[str]:
    """Open deals at each end; closed ones by what changed in each month, summed up. A span holds from its `first_end` up to, not
    including, its `last_end`."""
    ends = ends_of_months(question)
    first = f"DATE '{ends[0][0]}-01'"
    values = ", ".join(f"({number}, {end}, DATE '{day}')" for number, (_, end, day) in enumerate(ends))
    month = f"datediff('month', {first}, make_timestamp(%s))"
    until = month % f"least(until, {question['at']})"
    ended = f"if(until = {NEVER_AT}, {len(ends)}, {until})"
    placed = f"""ends(number, end_at, today) AS (VALUES {values}),
        placed AS (SELECT *, {month % "since"} AS first_end, {ended} AS last_end FROM spans)"""
    return [
        f"""WITH {placed},
            at_ends AS (
                SELECT *, unnest(range(first_end, last_end)) AS number FROM placed
                WHERE status = {OPEN} AND first_end < last_end)
            SELECT number, s.stage, {open_figures("end_at", "today", ages=True)}
            FROM at_ends s JOIN ends USING (number) JOIN stages g USING (stage) GROUP BY number, s.stage""",
        f"""WITH {placed},
            closed AS (SELECT * FROM placed WHERE status <> {OPEN} AND first_end < last_end),
            changes AS (
                SELECT first_end AS number, pipeline, status, count(*) AS deals, sum(amount) AS amount FROM closed GROUP BY ALL
                UNION ALL
                SELECT last_end, pipeline, status, -count(*), -sum(amount) FROM closed GROUP BY ALL),
            of_each AS (
                SELECT ends.number, p.pipeline, p.status, coalesce(sum(deals), 0) AS deals,
                    coalesce(sum(amount), 0) AS amount
                FROM ends CROSS JOIN (SELECT DISTINCT pipeline, status FROM changes) p
                LEFT JOIN changes c ON c.number = ends.number AND c.pipeline = p.pipeline AND c.status = p.status
                GROUP BY ALL)
            SELECT number, pipeline, status,
                sum(deals) OVER (PARTITION BY pipeline, status ORDER BY number),
                sum(amount) OVER (PARTITION BY pipeline, status ORDER BY number)
            FROM of_each""",
    ]


def series_numbers(rows: list, question: dict) -> dict:
    names = [name for name, _, _ in ends_of_months(question)]
    numbers = {}
    for number, stage, *row in rows[0]:
        numbers |= open_numbers(f"{names[number]} stage {stage}", row)
    for number, pipe, status, deals, amount in rows[1]:
        numbers |= closed_numbers(f"{names[number]} pipeline {pipe}", status, deals, amount)
    return numbers


# Forecast of the month of the instant.

PARTS = ("booked", "overdue", "expected", "unscheduled", "later")
CATEGORIES = ("omitted", "pipeline", "best_case", "commit")


def forecast(question: dict) -> list[str]:
    at = instant(question["at"])
    first, after = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0), month_after(at)
    begun, ended = visits_at(question)
    return [
        f"""WITH state AS (FROM spans WHERE {spans_at(question)}),
        closed AS (
            SELECT deal, pipeline, status, closed_at FROM state
            WHERE status IN ({WON}, {LOST}) AND closed_at > {question["at"] - 365 * DAY}),
        stays AS (
            SELECT deal, pipeline, place, entered_at, left_at, how = {WON_FROM} AND {ended} AS won
            FROM visits WHERE {begun}),
        reached AS (
            SELECT g.stage, c.status, c.closed_at, min(if(v.place >= g.place, v.entered_at, v.left_at)) AS reached_at
            FROM closed c JOIN stays v ON v.deal = c.deal AND v.pipeline = c.pipeline
            JOIN stages g ON g.pipeline = c.pipeline AND (v.place >= g.place OR v.won)
            GROUP BY c.deal, g.stage, c.status, c.closed_at),
        chances AS (
            SELECT stage, count(*) AS closed, count(*) FILTER (status = {WON}) AS won,
                count(*) FILTER (status = {WON} AND closed_at - reached_at < {micros(after) - question["at"]}) AS won_in_time
            FROM reached GROUP BY stage),
        parts AS (
            SELECT s.amount, {WEIGHTED} AS weighted, coalesce(s.category, g.category) AS category,
                coalesce(h.closed, 0) + 2 AS closed, coalesce(h.won, 0) + 1 AS won,
                coalesce(h.won_in_time, 0) + 1 AS won_in_time,
                CASE WHEN s.status = {WON} THEN 0 WHEN s.expected_close < DATE '{at.date()}' THEN 1
                    WHEN s.expected_close < DATE '{after.date()}' THEN 2 WHEN s.expected_close IS NULL THEN 3 ELSE 4 END AS part
            FROM state s JOIN stages g USING (stage) LEFT JOIN chances h USING (stage)
            WHERE s.status = {OPEN} OR s.status = {WON} AND s.closed_at >= {micros(first)} AND s.closed_at < {micros(after)})
        SELECT part, category, count(*), count(*) - count(amount), sum(amount), sum(weighted),
            sum((amount * won + closed // 2) // closed), sum((amount * won_in_time + closed // 2) // closed)
        FROM parts GROUP BY ALL"""
    ]


def forecast_numbers(rows: list, _: dict) -> dict:
    numbers: dict = {}

    def add(of: str, **more: int) -> None:
        for name, number in more.items():
            numbers[f"{of}.{name}"] = numbers.get(f"{of}.{name}", 0) + (number or 0)

    for part, category, deals, without, amount, weighted, historical, in_period in rows[0]:
        part, category = PARTS[part], CATEGORIES[category]
        if part == "booked":
            add("booked", deals=deals, amount=amount)
            continue
        counted = {"deals": deals, "without_amount": without, "amount": amount, "weighted": weighted}
        add("open", **counted)
        if part != "later":
            add(part, **counted)
        if part in ("overdue", "expected"):
            add(category, **counted)
            add("historical", amount=historical)
            add("historical_in_period", amount=in_period)
    return numbers


# Funnel of a cohort.


def funnel(question: dict) -> list[str]:
    begun, ended = visits_at(question)
    # Who came in then has a visit that began then: the others need not be grouped.
    of_period = f"entered_at >= {question['from']} AND entered_at < {question['to']}"
    if question["from"] > question["first"]:
        begun = f"{begun} AND deal IN (SELECT deal FROM visits WHERE {of_period})"
    return [
        f"""WITH cohort AS (
            SELECT deal, pipeline, arg_max(place, position) AS last,
                max(if(how = {WON_FROM} AND {ended}, 255, place)) AS furthest
            FROM visits WHERE {begun} GROUP BY deal, pipeline
            HAVING min(entered_at) >= {question["from"]} AND min(entered_at) < {question["to"]}),
        became AS (
            SELECT c.pipeline, last, furthest,
                CASE WHEN status = {EXCLUDED} THEN {EXCLUDED} WHEN s.pipeline <> c.pipeline THEN {LEFT} ELSE status END AS what
            FROM cohort c JOIN (SELECT deal, pipeline, status FROM spans WHERE {spans_at(question)}) s USING (deal)),
        counts AS (SELECT pipeline, last, furthest, what, count(*) AS deals FROM became GROUP BY ALL)
        SELECT g.stage, g.pipeline,
            sum(deals) FILTER (what <> {EXCLUDED} AND (what = {WON} OR furthest >= place)),
            sum(deals) FILTER (what = {OPEN} AND last = place), sum(deals) FILTER (what = {LOST} AND last = place),
            sum(deals) FILTER (what = {LEFT} AND last = place),
            sum(deals), sum(deals) FILTER (what = {WON}), sum(deals) FILTER (what = {EXCLUDED})
        FROM counts JOIN stages g USING (pipeline) GROUP BY g.stage, g.pipeline"""
    ]


def funnel_numbers(rows: list, _: dict) -> dict:
    numbers: dict = {}
    for stage, pipe, reached, is_open, lost, left, entered, won, excluded in rows[0]:
        for name, number in {"reached": reached, "open_in": is_open, "lost_from": lost, "left_from": left}.items():
            numbers[f"stage {stage}.{name}"] = number or 0
        for name, number in {"open": is_open, "lost": lost, "left": left}.items():
            numbers[f"pipeline {pipe}.{name}"] = numbers.get(f"pipeline {pipe}.{name}", 0) + (number or 0)
        for name, number in {"entered": entered, "won": won, "excluded": excluded}.items():
            numbers[f"pipeline {pipe}.{name}"] = number or 0
    return numbers


# Closed deals.


def closed_in(question: dict) -> str:
    return f"""{spans_at(question)} AND status IN ({WON}, {LOST})
        AND closed_at >= {question["from"]} AND closed_at < {question["to"]}"""


def win_rate(key: str, question: dict) -> list[str]:
    return [
        f"""SELECT {key}, count(*) FILTER (status = {WON}), count(*) FILTER (status = {LOST}),
            sum(amount) FILTER (status = {WON}), sum(amount) FILTER (status = {LOST}),
            count(*) FILTER (status = {LOST} AND amount IS NULL)
        FROM spans WHERE {closed_in(question)} GROUP BY 1"""
    ]


def win_rate_by_owner(question: dict) -> list[str]:
    return win_rate("owner", question)


def win_rate_by_month(question: dict) -> list[str]:
    return win_rate("date_trunc('month', make_timestamp(closed_at))", question)


def win_rate_numbers(rows: list, _: dict) -> dict:
    numbers = {}
    names = ("won", "lost", "won_amount", "lost_amount", "lost_without_amount")
    for key, *row in rows[0]:
        of = "nobody" if key is None else f"Seller {key}" if isinstance(key, int) else f"{key:%Y-%m}"
        numbers |= {f"{of}.{name}": number or 0 for name, number in zip(names, row, strict=True)}
    return numbers


def cycle(question: dict) -> list[str]:
    return [
        f"""SELECT status, count(*), sum(closed_at - created_at), median(closed_at - created_at)
        FROM spans WHERE {closed_in(question)} GROUP BY status"""
    ]


def cycle_numbers(rows: list, _: dict) -> dict:
    numbers = {}
    for status, deals, total, median in rows[0]:
        of = "won" if status == WON else "lost"
        numbers |= {f"{of}.deals": deals, f"{of}.mean": mean_days(total, deals), f"{of}.median": median_days(median)}
    return numbers


# Time in stage, with Kaplan-Meier estimates. A product of many factors is the sum of their logarithms; what rounding takes
# from it is far less than one deal's part.

HALF, TENTH = 0.5 + 1e-9, 0.1 + 1e-9


def time_in_stage(question: dict) -> list[str]:
    begun, ended = visits_at(question)
    return [
        f"""WITH stays AS (
            SELECT stage, sum(if({ended}, left_at, {question["at"]}) - entered_at)::BIGINT AS micros,
                bool_or(NOT ({ended})) AS here
            FROM visits ANTI JOIN (SELECT deal FROM spans WHERE {spans_at(question)} AND status = {EXCLUDED}) USING (deal)
            WHERE {begun} GROUP BY deal, stage),
        times AS (SELECT stage, micros, count(*) AS deals, count(*) FILTER (NOT here) AS ended FROM stays GROUP BY ALL),
        at_risk AS (SELECT *, sum(deals) OVER (PARTITION BY stage ORDER BY micros DESC) AS remaining FROM times),
        curve AS (
            SELECT stage, micros, exp(sum(if(ended = remaining, -1e9, ln(1 - ended / remaining)))
                OVER (PARTITION BY stage ORDER BY micros)) AS part
            FROM at_risk WHERE ended > 0),
        estimates AS (
            SELECT stage, min(micros) FILTER (part <= {HALF}) AS median, min(micros) FILTER (part <= {TENTH}) AS p90
            FROM curve GROUP BY stage)
        SELECT stage, count(*), count(*) FILTER (here), sum(micros) FILTER (NOT here), sum(micros) FILTER (here),
            any_value(median), any_value(p90)
        FROM stays LEFT JOIN estimates USING (stage) GROUP BY stage"""
    ]


def time_in_stage_numbers(rows: list, _: dict) -> dict:
    numbers = {}
    for stage, deals, here, completed, so_far, median, p90 in rows[0]:
        named = {
            "deals": deals, "here": here, "completed_mean": mean_days(completed or 0, deals - here),
            "so_far_mean": mean_days(so_far or 0, here), "median": median_days(median), "p90": median_days(p90),
        }
        numbers |= {f"stage {stage}.{name}": number for name, number in named.items()}
    return numbers


FIGURES = {
    "pipeline": (pipeline, pipeline_numbers),
    "columns": (columns, columns_numbers),
    "forecast": (forecast, forecast_numbers),
    "funnel": (funnel, funnel_numbers),
    "win_rate_by_owner": (win_rate_by_owner, win_rate_numbers),
    "win_rate_by_month": (win_rate_by_month, win_rate_numbers),
    "cycle": (cycle, cycle_numbers),
    "time_in_stage": (time_in_stage, time_in_stage_numbers),
    "series": (series, series_numbers),
}
