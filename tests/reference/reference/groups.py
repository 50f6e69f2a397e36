"""Groups.

"`by` groups a figure by one or two of `owner`, `team`, `source`, ... A deal whose owner is in several teams is in the group of exactly
this combination of teams. Deals that lack the value you group by form a group of their own. If there are more groups than you ask
for, you get those with the most deals, and `others` sums up the rest."
"""

from . import when
from .filters import field_of


def key_part(world, by):
    """What tells groups apart: a function of a row that gives an id, or None."""
    if by == "owner":
        return lambda row: row.attributes.owner
    if by == "team":
        return lambda row: row.teams or None
    if by in ("source", "campaign", "customer"):
        return lambda row: getattr(row.attributes, by)
    if by in ("pipeline", "stage"):
        return lambda row: getattr(row, by)
    if by == "loss_reason":
        return lambda row: row.snap.state.reason
    if by == "competitor":
        return lambda row: row.snap.state.competitor
    if by.startswith("fields."):
        slug = by.removeprefix("fields.")
        kind = world.definitions.fields[slug]["kind"]
        return lambda row: _text(kind, field_of(kind, row.snap.attributes.fields.get(slug)))

    def interval(row):
        day = row.local_day()
        return None if day is None else when.label(day, by)

    return interval


def _text(kind, value):
    if value is None:
        return None
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "decimal":
        # Equal numbers are one value, however they were written.
        return f"{value.normalize():f}"
    return str(value)


def key(world, by):
    """The key of a row's group: a tuple of one or two ids."""
    parts = [key_part(world, part) for part in by.split(",")]
    return lambda row: tuple(part(row) for part in parts)


def name(world, by, identity):
    """What a group's id is called at `as_of`; `...` stands for a name that cannot be told."""
    definitions = world.definitions
    if identity is None:
        return None
    if by == "owner":
        return definitions.users[identity]
    if by == "customer":
        return definitions.customers[identity]
    if by == "pipeline":
        return definitions.pipelines[identity].name
    if by == "campaign":
        return None
    if by == "loss_reason":
        return definitions.reasons.get(identity)
    if by == "team":
        return definitions.teams[next(iter(identity))] if len(identity) == 1 else ...
    if by == "stage":
        names = {p.stage(identity).name for p in definitions.pipelines.values() if identity in p.order}
        return names.pop() if len(names) == 1 else ...
    return identity
