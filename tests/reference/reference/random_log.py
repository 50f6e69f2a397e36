"""A company made up by chance, with a fixed seed: sent to a server as commands that are dated back, and not in the order in which things
happened.

It has what a company of a demonstration lacks: stages added, revised, reordered and retired; transfers and reopenings; losses that do
not count; closings that are dated back, corrected and taken back, and other commands that are undone; members who join and leave
teams; a time zone that changes; custom fields of every kind; and events at the very instants that questions ask about.
"""

import heapq
import os
import random
import subprocess
import uuid
from datetime import date, timedelta

from . import when
from .numbers import DAY, minor_digits
from .server import Refused, Server

FIRST, LAST = "2023-01-01", "2024-12-20"

FIELDS = [
    {"slug": "seats", "of": "deal", "name": "Seats", "kind": "integer", "options": []},
    {"slug": "hourly_rate", "of": "deal", "name": "Hourly rate", "kind": "decimal", "options": []},
    {"slug": "needs_visit", "of": "deal", "name": "Needs a visit", "kind": "boolean", "options": []},
    {"slug": "trial_ends", "of": "deal", "name": "Trial ends", "kind": "date", "options": []},
    {"slug": "line", "of": "deal", "name": "Product line", "kind": "choice", "options": ["Basic", "Pro", "Pro, extended"]},
    {"slug": "remark", "of": "deal", "name": "Remark", "kind": "text", "options": []},
    {"slug": "employees", "of": "customer", "name": "Employees", "kind": "integer", "options": []},
]
REASONS = [
    {"slug": "price", "name": "Price", "counted": True}, {"slug": "timing", "name": "Timing", "counted": True},
    {"slug": "competitor", "name": "Competitor", "counted": True}, {"slug": "error", "name": "An error", "counted": False},
]
LATER_REASONS = [
    {"slug": "price", "name": "Too expensive", "counted": True}, {"slug": "timing", "name": "Timing", "counted": True},
    {"slug": "competitor", "name": "Competitor", "counted": True}, {"slug": "no_answer", "name": "No answer", "counted": True},
    {"slug": "error", "name": "An error", "counted": False}, {"slug": "duplicate", "name": "Entered twice", "counted": False},
]
SOURCES = ["Web", "Trade fair", "Partner, north", "Referral", None]
COMPETITORS = ["Rival & Sons", "Walrus, Ltd", None, None]
CATEGORIES = ["omitted", "pipeline", "best_case", "commit"]
PROBABILITIES = [0, 0.05, 0.125, 0.3333, 0.5, 0.6667, 0.9, 1]

_MAPPING = """
[source]
name = "{name}"
currency = "{currency}"
time_zone = "{zone}"
since = 2022-11-01
[[loss_reasons]]
slug = "price"
name = "Price"
counted = true
[pipeline]
name = "Imported"
[[pipeline.stages]]
slug = "start"
name = "Start"
probability = 0.1
forecast_category = "pipeline"
stale_after_days = 20
[[pipeline.stages]]
slug = "offer"
name = "Offer sent"
probability = 0.625
forecast_category = "best_case"
[deals]
file = "deals.csv"
id = "id"
title = ["{{title}}"]
amount = {{ column = "amount" }}
[deals.entered]
start = "on"
[deals.stage]
column = "stage"
[deals.stage.values]
Open = {{ stage = "start" }}
"""


def make(binary, folder, seed, currency, zones, deals):
    """Fills `folder` with a company, and returns a server over it, with what was refused on the way."""
    csv = os.path.join(folder, "csv")
    os.makedirs(csv)
    with open(os.path.join(csv, "deals.csv"), "w") as out:
        out.write("id,title,stage,on,amount\n1,The first,Open,2023-01-05,10\n2,The second,Open,2023-01-06,\n")
    mapping = os.path.join(folder, "mapping.toml")
    with open(mapping, "w") as out:
        out.write(_MAPPING.format(name=f"reference-{seed}", currency=currency, zone=zones[0]))
    data = os.path.join(folder, "data")
    subprocess.run([binary, "import", "--data", data, "--mapping", mapping, csv], check=True, cwd=folder, capture_output=True)
    server = Server(binary, data, os.path.join(folder, "server.log"))
    company = _Company(server, random.Random(seed), currency, zones)
    company.run(deals)
    return server, company.refused, company.special


class _Company:
    def __init__(self, server, rng, currency, zones):
        self.server, self.rng, self.currency, self.zones = server, rng, currency, zones
        self.refused, self.sent, self.queue, self.number = {}, 0, [], 0
        self.begin, self.end = when.instant(FIRST + "T00:00:00Z"), when.instant(LAST + "T00:00:00Z")
        # Instants at which things happen to the microsecond: where days and months begin in both zones, and where clocks change.
        self.special = []
        for day in ("2023-03-26", "2023-04-01", "2023-10-29", "2024-01-01", "2024-03-10", "2024-03-31", "2024-04-26", "2024-07-01",
                    "2024-11-01", "2024-11-03"):
            self.special += [when.midnight(when.parse_day(day), zone) + shift for zone in zones for shift in (-1, 0)]
        self.changed_zone = when.instant("2024-02-14T11:30:00Z")
        self.special += [self.changed_zone, self.changed_zone - 1]
        self.pipelines, self.users, self.teams, self.customers, self.open = {}, [], [], [], []
        # What each deal was like before its last command, as `act` takes it, if that command can be undone.
        self.before = {}
        self.campaigns = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(3)]

    # Sending -----------------------------------------------------------------------------------------------------------------

    def send(self, method, path, body, at=None):
        """A command; what is refused is counted by its code, and changes nothing."""
        if at is not None:
            body = {**body, "occurred_at": when.write(at)}
        self.sent += 1
        try:
            return self.server.send(method, path, body)
        except Refused as refused:
            code = refused.problem["code"]
            assert refused.status in (409, 422), refused
            self.refused[code] = self.refused.get(code, 0) + 1
            return None

    def later(self, recorded, step, *rest):
        """Does a step when everything recorded before it has been done."""
        self.number += 1
        heapq.heappush(self.queue, (recorded, self.number, step, rest))

    def moment(self, low, high):
        """A time in [low, high], now and then one of the special ones."""
        near = [at for at in self.special if low <= at <= high]
        if near and self.rng.random() < 0.3:
            return self.rng.choice(near)
        return self.rng.randint(low, max(low, high))

    # The company -------------------------------------------------------------------------------------------------------------

    def run(self, deals):
        """Sets the company up, and lets things happen."""
        rng, day = self.rng, lambda text: when.instant(text + "T09:00:00Z")
        self.send("PATCH", "settings", {"fields": FIELDS, "loss_reasons": REASONS}, day("2022-11-02"))
        imported = self.server.get("pipelines")["items"][0]["id"]
        self.pipelines[imported] = ["start", "offer"]
        self.define("New business", ["lead", "talk", "offer", "contract"], True, day("2022-11-03"))
        # Defined later than deals in it are created: before its first definition, the first one counts.
        late = self.define("Renewals", ["due", "talk", "agreed"], False, day("2023-05-10"))
        for number in range(7):
            made = self.send("POST", "users", {"name": f"{'GDACFBE'[number]} Person", "roles": ["seller"]}, day("2022-11-04"))
            self.users.append(made["id"])
        for name in ("South", "North", "East"):
            self.teams.append(self.send("POST", "teams", {"name": name}, day("2022-11-05"))["id"])
        for number in range(12):
            made = self.send("POST", "customers", {"name": f"{'HKCAMELBDFGI'[number]} Works"}, day("2022-11-06"))
            self.customers.append(made["id"])

        self.later(self.changed_zone, self.settings, {"time_zone": self.zones[1]}, self.changed_zone)
        self.later(day("2023-09-01"), self.settings, {"loss_reasons": LATER_REASONS}, day("2023-09-01"))
        for customer in rng.sample(self.customers, 4):
            at = self.moment(self.begin, self.end)
            self.later(at + rng.choice([0, 40]) * DAY, self.rename, customer, at)
        self.memberships()
        self.redefinitions(late)
        for _ in range(deals):
            at = self.moment(self.begin, self.end - 20 * DAY)
            # Most is recorded as it happens; some weeks or months later.
            lag = rng.choice([0, 0, 0, 0, 3, 30, 150]) * DAY
            self.later(at + lag, self.create, at, lag)
        while self.queue:
            _, _, step, rest = heapq.heappop(self.queue)
            step(*rest)
        # What happens now, at the server's own time.
        for number, deal in enumerate(rng.sample(self.open, min(9, len(self.open)))):
            self.send("POST", f"deals/{deal}/win", {"closed_at": LAST} if number % 3 == 1 else {})
            if number % 3 == 2:
                self.send("POST", f"deals/{deal}/undo", {})
        self.send("DELETE", f"teams/{self.teams[0]}/members/{self.users[0]}", {})

    def define(self, name, stages, skipping, at):
        made = self.send("POST", "pipelines", {
            "name": name, "skipping_allowed": skipping, "stages": [self.stage(slug) for slug in stages]}, at)
        self.pipelines[made["id"]] = list(stages)
        return made["id"]

    def stage(self, slug):
        rng = self.rng
        return {"slug": slug, "name": f"{slug.title()} {rng.randint(1, 9)}", "probability": rng.choice(PROBABILITIES),
                "stale_after_days": rng.choice([None, 10, 30, 60]), "required_fields": [],
                "forecast_category": rng.choice(CATEGORIES)}

    def settings(self, change, at):
        self.send("PATCH", "settings", change, at)

    def rename(self, customer, at):
        self.send("PATCH", f"customers/{customer}", {"name": f"Renamed {self.rng.randint(10, 99)} Works"}, at)

    def memberships(self):
        """Users join teams, some late, some several, some never; and leave them."""
        rng = self.rng
        for team in self.teams:
            at, plan, members = self.begin - 30 * DAY, [], set()
            for user in rng.sample(self.users[:-1], 4):
                at += rng.choice([0, 5, 60]) * DAY
                plan.append((at, "PUT", user))
                members.add(user)
            for _ in range(16):
                at, user = self.moment(at + 1, at + 80 * DAY), rng.choice(self.users[:-1])
                plan.append((at, "DELETE" if user in members else "PUT", user))
                members ^= {user}
            lag = rng.choice([0, 0, 90]) * DAY
            for at, method, user in plan:
                if at < self.end:
                    self.later(at + lag, self.send, method, f"teams/{team}/members/{user}", {}, at)

    def redefinitions(self, late):
        """Stages come, change, move and go."""
        rng = self.rng
        for pipeline in list(self.pipelines):
            at = self.begin + 60 * DAY if pipeline != late else when.instant("2023-07-01T00:00:00Z")
            for number in range(9):
                at = self.moment(at + 1, at + 110 * DAY)
                if at < self.end:
                    self.later(at + rng.choice([0, 0, 20]) * DAY, self.redefine, pipeline, number, at)

    def redefine(self, pipeline, number, at):
        rng, stages = self.rng, self.pipelines[pipeline]
        path = f"pipelines/{pipeline}/stages"
        what = ["add", "revise", "reorder", "add", "retire", "revise", "add", "reorder", "revise"][number]
        slug = rng.choice(stages)
        if what == "add":
            new, after = f"extra_{number}", rng.choice(stages + [None])
            body = {"stage": self.stage(new)} | ({"after": after} if after else {})
            if self.send("POST", path, body, at):
                stages.append(new)
        elif what == "revise":
            changed = self.stage(slug)
            del changed["slug"]
            self.send("PATCH", f"{path}/{slug}", changed, at)
        elif what == "reorder":
            order = list(stages)
            rng.shuffle(order)
            self.send("PUT", path, {"stages": order}, at)
        else:
            self.send("POST", f"{path}/{slug}/retire", {}, at)

    # Deals -------------------------------------------------------------------------------------------------------------------

    def amount(self):
        rng, digits = self.rng, minor_digits(self.currency)
        if rng.random() < 0.2:
            return None
        minor = rng.choice([rng.randint(1, 99), rng.randint(100, 100_000), rng.randint(10**6, 10**8), 5 * 10**7])
        text = str(minor).rjust(digits + 1, "0")
        return {"amount": f"{text[:-digits]}.{text[-digits:]}", "currency": self.currency}

    def expected(self, at):
        if self.rng.random() < 0.15:
            return None
        near = when.local_day(at, self.zones[0]) + timedelta(days=self.rng.choice([-3, 0, 1, 10, 30, 45, 90]))
        return near.isoformat()

    def field(self):
        rng = self.rng
        slug = rng.choice(FIELDS[:6])["slug"]
        value = {
            "seats": lambda: rng.choice([0, 1, 5, 5, 12, 250, -3]),
            "hourly_rate": lambda: rng.choice(["12.5", "12.50", "87.25", "100", "-1.5", "0.10"]),
            "needs_visit": lambda: rng.random() < 0.5,
            "trial_ends": lambda: (date(2024, 1, 1) + timedelta(days=30 * rng.randint(0, 6))).isoformat(),
            "line": lambda: rng.choice(FIELDS[4]["options"]),
            "remark": lambda: rng.choice(["Call again", "Asked twice, at length"]),
        }[slug]()
        return {slug: value}

    def create(self, at, lag):
        rng = self.rng
        pipeline = rng.choice(list(self.pipelines))
        fields = {}
        for _ in range(rng.randint(0, 4)):
            fields |= self.field()
        body = {
            "title": f"Deal {self.sent}", "pipeline": pipeline, "amount": self.amount(), "expected_close": self.expected(at),
            "owner": rng.choice(self.users + [None]), "customer": rng.choice(self.customers + [None]),
            "source": rng.choice(SOURCES), "campaign": rng.choice(self.campaigns + [None, None]), "fields": fields,
        }
        if rng.random() < 0.2:
            body["stage"] = rng.choice(self.pipelines[pipeline])
        body = {name: value for name, value in body.items() if value is not None}
        made = self.send("POST", "deals", body, at)
        if made:
            self.open.append(made["id"])
            self.plan(made["id"], pipeline, "open", at, at, lag)

    def plan(self, deal, pipeline, status, since, at, lag):
        """What happens to a deal next, after a while, until its time is over."""
        rng = self.rng
        then = at if rng.random() < 0.08 else self.moment(at, at + rng.choice([1, 12, 40, 90]) * DAY)
        if then < self.end and rng.random() < (0.93 if status == "open" else 0.7):
            self.later(then + lag, self.act, deal, pipeline, status, since, then, lag)

    def closed_at(self, since, at):
        """When a deal was closed that has been open since then: an instant, to the ends of what is allowed, or a day."""
        rng = self.rng
        on = rng.choice([since, at, self.moment(since, at), self.moment(since, at), self.moment(max(since, at - 9 * DAY), at)])
        return when.write(on) if rng.random() < 0.6 else when.local_day(on, rng.choice(self.zones)).isoformat()

    def correction(self, status, since, at):
        """One or several parts of what is said of a closing."""
        rng = self.rng
        parts = {"closed_at": lambda: self.closed_at(since, at), "owner": lambda: rng.choice(self.users + [None])}
        if status == "won":
            parts |= {"amount": lambda: self.amount() or {"amount": "7", "currency": self.currency},
                      "contract": lambda: rng.choice(["C-2024/17", None])}
        else:
            parts["reason"] = lambda: rng.choice(LATER_REASONS)["slug"]
        return {name: parts[name]() for name in rng.sample(list(parts), rng.choice([1, 1, 2, len(parts)]))}

    def act(self, deal, pipeline, status, since, at, lag):
        """One command on a deal, which has been open, or was until it was closed, since an instant."""
        rng, path, before, done = self.rng, f"deals/{deal}", (pipeline, status, since), []

        def send(*command):
            done.append(answer := self.send(*command))
            return answer

        if status == "open":
            what = rng.choices(["move", "change", "win", "lose", "transfer", "undo"], [40, 28, 13, 17, 6, 12])[0]
        else:
            what = rng.choices(["reopen", "change", "correct", "undo"], [30, 12, 30, 20])[0]
        if what == "undo":
            # Refused after the creation and after another undoing.
            if send("POST", f"{path}/undo", {} if rng.random() < 0.7 else {"reason": "A slip"}, at):
                pipeline, status, since = before = self.before[deal]
                if (deal in self.open) != (status == "open"):
                    (self.open.append if status == "open" else self.open.remove)(deal)
        elif what == "correct":
            send("PATCH", f"{path}/closing", self.correction(status, since, at), at)
        elif what == "move":
            send("POST", f"{path}/move", {"stage": rng.choice(self.pipelines[pipeline])}, at)
        elif what == "transfer":
            other = rng.choice(list(self.pipelines))
            body = {"pipeline": other} | ({"stage": rng.choice(self.pipelines[other])} if rng.random() < 0.5 else {})
            if send("POST", f"{path}/transfer", body, at):
                pipeline = other
        elif what == "win":
            amount = self.amount() if rng.random() < 0.5 else None
            body = ({"amount": amount} if amount else {}) | ({"closed_at": self.closed_at(since, at)} if rng.random() < 0.6 else {})
            if send("POST", f"{path}/win", body, at):
                status = "won"
                self.open.remove(deal)
        elif what == "lose":
            reason = rng.choice(LATER_REASONS)["slug"]
            body = {"reason": reason, "competitor": rng.choice(COMPETITORS)}
            if rng.random() < 0.6:
                body["closed_at"] = self.closed_at(since, at)
            if send("POST", f"{path}/lose", {k: v for k, v in body.items() if v}, at):
                status = "lost"
                self.open.remove(deal)
        elif what == "reopen":
            body = {"reason": "It goes on"} | ({"stage": rng.choice(self.pipelines[pipeline])} if rng.random() < 0.5 else {})
            if send("POST", f"{path}/reopen", body, at):
                status, since = "open", at
                self.open.append(deal)
        else:
            change = rng.choice([
                lambda: {"owner": rng.choice(self.users + [None])},
                lambda: {"customer": rng.choice(self.customers + [None])},
                lambda: {"source": rng.choice(SOURCES)},
                lambda: {"campaign": rng.choice(self.campaigns + [None])},
                lambda: {"amount": self.amount()},
                lambda: {"expected_close": self.expected(at)},
                lambda: {"probability": rng.choice(PROBABILITIES + [None])},
                lambda: {"forecast_category": rng.choice(CATEGORIES + [None])},
                lambda: {"fields": self.field()},
                lambda: {"fields": {rng.choice(FIELDS[:6])["slug"]: None}},
                lambda: {"owner": rng.choice(self.users), "amount": self.amount(), "fields": self.field()},
            ])()
            send("PATCH", path, change, at)
        if done[0] and done[0]["events"]:
            # A command that changes nothing is not the last.
            self.before[deal] = before
        self.plan(deal, pipeline, status, since, at, lag)
