"""Compares an answer of the server with what it should be, exactly."""

from decimal import Decimal

from .question import Groups

# Lists whose order the definitions leave open where two have equally many deals: the key of an item.
_KEYED = {"reasons": "reason", "competitors": "competitor"}


def differences(expected, got, path=""):
    """Every difference, as (path, expected, got)."""
    if isinstance(expected, dict) and isinstance(got, dict):
        found = []
        for name in expected.keys() | got.keys():
            if name == "others" and isinstance(expected.get("groups"), Groups):
                continue
            if name not in expected or name not in got:
                found.append((f"{path}.{name}", expected.get(name, "<absent>"), got.get(name, "<absent>")))
            elif isinstance(expected[name], Groups):
                found += _groups(expected[name], got[name], got.get("others"), path)
            elif name in _KEYED:
                found += _keyed(expected[name], got[name], _KEYED[name], f"{path}.{name}")
            else:
                found += differences(expected[name], got[name], f"{path}.{name}")
        return found
    if isinstance(expected, list) and isinstance(got, list):
        found = []
        if len(expected) != len(got):
            found.append((f"{path}.length", len(expected), len(got)))
            if expected and isinstance(expected[0], dict):
                for name in ("deal", "stage", "interval", "pipeline"):
                    if name in expected[0]:
                        ours, theirs = {e[name] for e in expected}, {e[name] for e in got}
                        return found + [(f"{path}.{name}", sorted(ours - theirs)[:5], sorted(theirs - ours)[:5])]
        for number, (a, b) in enumerate(zip(expected, got)):
            found += differences(a, b, f"{path}[{number}]")
        return found
    numbers = (int, Decimal)
    if isinstance(expected, bool) or isinstance(got, bool) or not (isinstance(expected, numbers) and isinstance(got, numbers)):
        return [] if type(expected) is type(got) and expected == got else [(path, expected, got)]
    return [] if Decimal(expected) == Decimal(got) else [(path, expected, got)]


def _keyed(expected, got, name, path):
    """A list with "the one with the most deals first"."""
    counts = [item["deals"] for item in got]
    found = [(path, "the most deals first", counts)] if counts != sorted(counts, reverse=True) else []
    by_key = lambda items: {str(item[name]): item for item in items}
    return found + differences(by_key(expected), by_key(got), path)


def _identity(by, text):
    return frozenset(text.split(",")) if by == "team" and text is not None else text


def _groups(expected, got, others, path):
    """Groups: those given are right, are those with the most deals, and `others` is the rest."""
    found, given = [], []
    names = []
    for group in got:
        key = tuple(_identity(part["by"], part["id"]) for part in group["key"])
        at = f"{path}.groups[{'/'.join(str(part['id']) for part in group['key'])}]"
        if [part["by"] for part in group["key"]] != expected.by or key not in expected.rows:
            found.append((at, "<no such group>", {name: value for name, value in group.items() if name != "key"}))
            continue
        given.append(key)
        names.append([part["name"] for part in group["key"]])
        for place, part in enumerate(group["key"]):
            name = expected.name(place, key[place])
            if name is not ... and name != part["name"]:
                found.append((f"{at}.key[{place}].name", name, part["name"]))
        figures = {name: value for name, value in group.items() if name != "key"}
        found += differences(expected.figures([key]), figures, at)
    if len(set(given)) != len(given):
        found.append((f"{path}.groups", "each group once", given))
    rest = [key for key in expected.rows if key not in set(given)]
    limit = int(expected._question.parameters.get("groups", 1000))
    if rest and len(given) < min(limit, len(expected.rows)):
        found.append((f"{path}.groups", f"also {sorted(map(str, rest))[:5]}", f"{len(given)} groups"))
    elif len(given) > limit:
        found.append((f"{path}.groups", f"{limit} groups", f"{len(given)} groups"))
    elif rest and given:
        least, most = min(map(expected.deals, given)), max(map(expected.deals, rest))
        if least < most:
            found.append((f"{path}.groups", f"those with the most deals (a group with {most} is left out)", f"one with {least}"))
    if not rest:
        if others is not None:
            found.append((f"{path}.others", None, others))
    elif others is None:
        found.append((f"{path}.others", f"{len(rest)} groups", None))
    else:
        found += differences({"count": len(rest), **expected.figures(rest)}, others, f"{path}.others")
    # Groups are listed by name; those without a name come last.
    firsts = [name[0] for name in names if name[0] is not None]
    if firsts != sorted(firsts):
        found.append((f"{path}.groups", "in the order of names", firsts[:6]))
    return found
