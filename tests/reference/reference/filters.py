"""Filters.

"Filters take one or several values each, separated by commas; write a comma within a value as `\\,`. A deal passes a filter if it has
any of its values, and it must pass all filters. A stretch of time includes its start and not its end; a range of amounts includes
both ends. `stale`, `overdue`, `closed_*`, `loss_reason`, `competitor` and custom fields always mean the deal at `as_of`, even for
events."
"""

import re
from decimal import Decimal

from . import when
from .numbers import to_minor


def values_of(text):
    """The values of a filter: a comma separates, `\\,` is a comma."""
    return [part.replace("\\,", ",") for part in re.split(r"(?<!\\),", text)]


def field_value(kind, text):
    """A custom field's value as it compares."""
    if kind in ("integer", "decimal"):
        return Decimal(text)
    if kind == "date":
        return when.parse_day(text)
    if kind == "boolean":
        return {"true": True, "false": False}[text]
    return text


def field_of(kind, raw):
    """A custom field's value in an event, as it compares."""
    return None if raw is None else (raw if kind in ("boolean", "choice", "text") else field_value(kind, str(raw)))


def _instant(world, text):
    return world.midnight(when.parse_day(text)) if when.is_day(text) else when.instant(text)


def filters(world, parameters):
    """What the parameters of a question let pass, as one function of a row."""
    tests = []
    simple = {
        "pipeline": lambda row: row.passing,
        "stage": lambda row: row.stage,
        "customer": lambda row: row.attributes.customer,
        "source": lambda row: row.attributes.source,
        "campaign": lambda row: row.attributes.campaign,
        "loss_reason": lambda row: row.snap.state.reason,
        "competitor": lambda row: row.snap.state.competitor,
    }

    def within(low, high, get):
        if low is not None:
            tests.append(lambda row: (value := get(row)) is not None and value >= low)
        if high is not None:
            tests.append(lambda row: (value := get(row)) is not None and value < high)

    for name, text in parameters.items():
        if name in simple:
            chosen, get = set(values_of(text)), simple[name]
            tests.append(lambda row, chosen=chosen, get=get: get(row) in chosen)
        elif name == "owner":
            chosen = {None if value == "none" else value for value in values_of(text)}
            tests.append(lambda row, chosen=chosen: row.attributes.owner in chosen)
        elif name == "team":
            chosen = set(values_of(text))
            tests.append(lambda row, chosen=chosen: not chosen.isdisjoint(row.teams))
        elif name in ("stale", "overdue"):
            tests.append(lambda row, name=name, wanted=text == "true": getattr(row.snap, name) == wanted)
        elif name.startswith("fields."):
            slug, _, end = name.removeprefix("fields.").partition(".")
            kind = world.definitions.fields[slug]["kind"]
            get = lambda row, slug=slug, kind=kind: field_of(kind, row.snap.attributes.fields.get(slug))
            if end == "from":
                within(field_value(kind, text), None, get)
            elif end == "to" and kind == "date":
                within(None, field_value(kind, text), get)
            elif end == "to":
                bound = field_value(kind, text)
                tests.append(lambda row, get=get, bound=bound: (value := get(row)) is not None and value <= bound)
            else:
                chosen = {field_value(kind, value) for value in values_of(text)}
                tests.append(lambda row, get=get, chosen=chosen: get(row) in chosen)

    optional = lambda name, parse: parse(parameters[name]) if name in parameters else None
    moment = lambda text: _instant(world, text)
    within(optional("created_from", moment), optional("created_to", moment), lambda row: row.snap.deal.created)
    within(optional("closed_from", moment), optional("closed_to", moment), lambda row: row.snap.state.closed)
    within(optional("expected_from", when.parse_day), optional("expected_to", when.parse_day),
           lambda row: row.attributes.expected)
    amount = lambda text: to_minor(text, world.currency)
    low, high = optional("amount_from", amount), optional("amount_to", amount)
    within(low, None if high is None else high + 1, lambda row: row.attributes.amount)
    return lambda row: all(test(row) for test in tests)
