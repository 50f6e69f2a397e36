"""Compares every figure of the binary under test with an independent computation from its log. See README.md."""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time

from . import random_log, when
from .compare import differences
from .log import Log
from .question import Worlds
from .questions import Maker
from .server import Refused, Server

UNTIL = "2025-06-30"
SHOWN = 8
CROSS_CHECKS = 90
# A log with fewer events gets every filter and group for every figure; a longer one for some.
SHORT = 8000
REVISING = ("deal.undone", "deal.closing_corrected")


def ask(server, worlds, question):
    """Asks the server and this program; returns what differs."""
    try:
        if question.path.endswith("/deals"):
            got = server.deals_behind(question.path, question.parameters)
        elif question.path == "board":
            got = whole_board(server, question)
        else:
            got = server.get(question.path, question.parameters)
    except Refused as refused:
        # "A query that names something unknown ... is refused": a stage of later, for one.
        if refused.problem.get("field") == "stage" and question.names_unknown_stage(worlds):
            return []
        return [("", "an answer", str(refused))]
    found = differences(question.answer(worlds, got["as_of"]), got)
    return found + [("", trouble, "") for trouble in question.troubles]


def refuse(server, question):
    """Asks what must be refused."""
    try:
        server.get(question.path, question.parameters)
    except Refused as refused:
        return [] if refused.status in (400, 422) else [("", "a refusal", str(refused))]
    return [("", "a refusal", "an answer")]


def whole_board(server, question):
    """The board with all cards of each column, of which the deal, its entry and its two marks are compared."""
    got = server.get("board", {**question.parameters, "limit": 500})
    for column in got["columns"]:
        while column["next"] is not None:
            page = server.get("board", {
                **question.parameters, "as_of": got["as_of"], "pipeline": got["pipeline"], "limit": 500,
                "stage": column["stage"], "after": column["next"]})["columns"][0]
            column["cards"] += page["cards"]
            column["next"] = page["next"]
        del column["next"]
        cards = [(when.instant(c["entered_at"]), c["deal"], c["stale"], c["overdue"]) for c in column["cards"]]
        entries = [card[0] for card in cards]
        # Longest in the stage first.
        column["cards"] = sorted(cards) if entries == sorted(entries) else cards
    return got


def compare(name, server, seed, special, chance, progress):
    """Asks everything about one log; returns how many questions differ."""
    begun = time.monotonic()
    log = Log(server.events())
    worlds = Worlds(log)
    rng = random.Random(seed)
    times = sorted(at for deal in log.deals.values() for at in deal.occurred)
    pick = lambda part: times[int(len(times) * part)]
    zone = worlds.zones(log.head)[-1]
    day = lambda at: when.local_day(at, zone).isoformat()
    instants = [when.write(pick(0.5)), day(pick(0.8)), day(pick(0.35)), when.write(pick(0.93) - 1)]
    instants += [when.write(at) for at in rng.sample(special, min(3, len(special)))]
    instants += [day(at) for at in rng.sample(special, min(2, len(special)))]
    by_kind = {}
    for event in log.all:
        by_kind.setdefault(event["type"], []).append(event)
    revised = {kind: rng.sample(found, min(2, len(found))) for kind, found in by_kind.items() if kind in REVISING}
    # Just before and just when something was taken back or corrected, and when a closing counts that was entered later.
    instants += [when.write(event["at"] - number) for some in revised.values() for number, event in enumerate(some)]
    late = [e for kind in ("deal.won", "deal.lost") for e in by_kind.get(kind, ()) if when.instant(e["data"]["closed_at"]) < e["at"]]
    instants += [when.write(when.instant(event["data"]["closed_at"])) for event in rng.sample(late, min(2, len(late)))] + [None]
    figures = None if log.head < SHORT else 3
    positions = [log.head // 3, log.head * 3 // 4]
    positions += [some[0]["position"] - 1 for some in revised.values() if some]
    if log.recorded[-1] - log.recorded[0] > 10**6 * 86400 * 30:
        positions += [day(log.recorded[log.head // 2]), when.write(log.recorded[log.head * 2 // 3])]
    maker = Maker(log, worlds, rng, instants, positions)
    questions = [*maker.basic(), *maker.each_parameter(figures), *maker.over_a_change_of_zone(), *maker.behind(),
                 *maker.by_chance(chance)]
    refusals = list(maker.refused())
    questions += refusals
    wrong, cross_checks = 0, [CROSS_CHECKS]
    for number, question in enumerate(questions, 1):
        if progress and number % 20 == 0:
            print(f"\r{name}: {number} of {len(questions)} questions", end="", file=sys.stderr, flush=True)
        question.cross_checks = cross_checks if number % 3 == 0 or question.path == "time-in-stage" else None
        found = refuse(server, question) if question in refusals else ask(server, worlds, question)
        if found:
            wrong += 1
            print(f"{'' if not progress else chr(13)}{name}: {question}")
            for path, expected, got in found[:SHOWN]:
                print(f"    at {path or 'the answer'}: computed {str(expected)[:400]}, the server says {str(got)[:400]}")
            if len(found) > SHOWN:
                print(f"    and {len(found) - SHOWN} more")
            sys.stdout.flush()
    took = time.monotonic() - begun
    print(f"{chr(13) if progress else ''}{name}: {log.head} events, {len(questions)} questions, {wrong} differ, {took:.0f} s",
          flush=True)
    return wrong


def maven_folder(repository):
    """Maven Analytics' data: where MAVEN_DIR says, or else the sample in the repository, and a note which."""
    folder = os.environ.get("MAVEN_DIR")
    if folder and os.path.exists(os.path.join(folder, "sales_pipeline.csv")):
        return folder, "Maven"
    print("reference: MAVEN_DIR does not name Maven Analytics' data, so the small sample in examples/maven/sample stands in for it")
    return os.path.join(repository, "examples", "maven", "sample"), "Maven's sample"


def main():
    """Runs all comparisons, or those that are named."""
    parser = argparse.ArgumentParser(prog="tests/reference/run", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="another seed makes other random logs and other questions")
    parser.add_argument("--only", choices=["maven", "demo", "random-1", "random-2"], action="append", help="some logs only")
    parser.add_argument("--chance", type=int, default=50, help="how many questions by chance about each log")
    parser.add_argument("--deals", type=int, default=260, help="how many deals a random log has")
    chosen = parser.parse_args()
    binary = os.environ.get("BINARY_UNDER_TEST")
    if not binary or not os.access(binary, os.X_OK):
        raise SystemExit("reference: BINARY_UNDER_TEST must name the dealog binary to test")
    binary = os.path.abspath(binary)
    repository = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    wanted = chosen.only or ["maven", "demo", "random-1", "random-2"]
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="dealog-reference-") as folder:
        for number, name in enumerate(wanted):
            place = os.path.join(folder, name)
            os.mkdir(place)
            data = os.path.join(place, "data")
            special = []
            if name == "maven":
                source, name = maven_folder(repository)
                mapping = os.path.join(repository, "examples", "maven", "mapping.toml")
                run([binary, "import", "--data", data, "--mapping", mapping, source], place)
                server = Server(binary, data, os.path.join(place, "server.log"))
            elif name == "demo":
                run([binary, "demo", "--data", data, "--until", UNTIL, "--no-serve"], place)
                server = Server(binary, data, os.path.join(place, "server.log"))
            else:
                currency, zones = ("EUR", ("Europe/Riga", "America/New_York")) if name == "random-1" else (
                    "BHD", ("America/Havana", "Africa/Cairo"))
                server, refused, special = random_log.make(
                    binary, place, chosen.seed * 10 + int(name[-1]), currency, zones, chosen.deals)
                print(f"{name}: made; commands refused on the way: {refused}")
            try:
                wrong += compare(name, server, chosen.seed, special, chosen.chance, sys.stderr.isatty())
            finally:
                server.stop()
    if wrong:
        raise SystemExit(f"reference: {wrong} answers differ from what docs/figures.md defines")


def run(command, folder):
    """Runs a command that must succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"reference: {' '.join(command)} failed:\n{done.stdout}{done.stderr}")


main()
