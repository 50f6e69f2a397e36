//! A deal under way: how it stands, what time it is there, and the commands so far.
//!
//! Two times go on side by side. `at` is when something happens; `now` is when someone gets round to entering it, which is
//! mostly at once, sometimes hours and sometimes days later. Both only ever grow, and so does the log.

use chrono::NaiveDate;
use dealog_domain::{Command, Occurred, Patch, deal};
use dealog_events::{Actor, CustomerId, DealId, Invalid, Money, StreamId, Timestamp, pipeline::ForecastCategory};

use super::lead::Lead;
use crate::demo::{
    Step,
    calendar::minutes_later,
    company::Company,
    dice::{About, Dice},
    people::Seller,
    pipelines::Funnel,
};

/// Of 100 commands: entered at once, within hours, on the next day, days later.
const ENTERED: [u32; 4] = [72, 17, 8, 3];
/// The same for the first command. A deal is in the log at most one working day after it began.
const FIRST_ENTERED: [u32; 3] = [60, 25, 15];

/// A deal and its commands so far.
pub(super) struct Course<'a> {
    pub(super) company: &'a Company,
    pub(super) index: u32,
    pub(super) dice: Dice,
    pub(super) lead: Lead<'a>,

    pub(super) funnel: &'a Funnel,
    pub(super) stage: usize,
    pub(super) open: bool,
    /// When it was created, or reopened last.
    pub(super) opened: Timestamp,
    pub(super) owner: Option<&'a Seller>,
    pub(super) title: String,
    /// To whom, once that is entered.
    pub(super) customer: Option<CustomerId>,
    pub(super) euros: Option<u32>,
    pub(super) expected_close: Option<NaiveDate>,
    pub(super) source: &'static str,
    /// Set by hand, in basis points.
    pub(super) probability: Option<u16>,
    pub(super) category: Option<ForecastCategory>,
    pub(super) contract_months: Option<i64>,
    pub(super) region: Option<&'static str>,
    /// In percent of the usual time in a stage.
    pub(super) pace_percent: u32,

    /// When what comes next happens.
    pub(super) at: Timestamp,
    /// When the last thing happened.
    last: Timestamp,
    /// When it was entered.
    now: Timestamp,
    steps: Vec<Step>,
}

impl<'a> Course<'a> {
    pub(super) fn new(company: &'a Company, index: u32, lead: Lead<'a>, dice: Dice) -> Self {
        Self {
            company,
            index,
            dice,
            funnel: lead.funnel,
            stage: 0,
            open: false,
            opened: lead.begins,
            owner: None,
            title: lead.title(),
            customer: None,
            euros: None,
            expected_close: None,
            source: lead.source,
            probability: None,
            category: None,
            contract_months: None,
            region: None,
            pace_percent: 100,
            at: lead.begins,
            last: lead.begins,
            now: lead.begins,
            steps: Vec::new(),
            lead,
        }
    }

    /// The dice of the deal number `index`.
    pub(super) fn dice(company: &Company, index: u32) -> Dice {
        Dice::new(company.sample.seed, About::Course, index)
    }

    /// The id of the deal number `index`.
    pub(super) fn id(company: &Company, index: u32) -> DealId {
        DealId(company.sample.id(&format!("deal:{index}")))
    }

    /// All commands of a course that has come to its end.
    pub(super) fn steps(mut self) -> Vec<Step> {
        self.hand_over_at(Timestamp::MAX);
        self.steps
    }

    /// A command that happens at the present instant.
    pub(super) fn enter(&mut self, command: deal::Command) {
        let people = &self.company.people;
        let gone = self.owned_by_leaver() && self.at >= people.hand_over;
        let actor = self.owner.filter(|_| !gone).map_or(people.manager, |owner| owner.id);
        let now = self.entered();
        self.push(Actor::User(actor), now, command);
    }

    /// A change of attributes at the present instant.
    pub(super) fn change(&mut self, change: deal::Change) {
        self.enter(deal::Command::Change(Box::new(change)));
    }

    fn push(&mut self, actor: Actor, now: Timestamp, command: deal::Command) {
        let name = format!("deal:{}:{}", self.index, self.steps.len());
        let stream = StreamId::Deal(Self::id(self.company, self.index));
        let mut step = self.company.sample.step(name, actor, now, stream, Command::Deal(command));
        if now > self.at {
            step.request.meta = step.request.meta.occurred(Occurred::At(self.at));
        }
        self.steps.push(step);
        self.last = self.at;
        self.now = now;
    }

    /// When what happens now is entered.
    fn entered(&mut self) -> Timestamp {
        let calendar = &self.company.calendar;
        let (at, today) = (self.at, calendar.index_of(self.at));
        let first = self.steps.is_empty();
        let wanted = match self.dice.weighted(if first { &FIRST_ENTERED } else { &ENTERED }) {
            0 => at,
            1 => minutes_later(at, self.dice.within(5, 240)),
            2 => calendar.in_working_hours(today + 1, &mut self.dice),
            _ => calendar.in_working_hours(today + self.dice.within(2, 4), &mut self.dice),
        };
        // Who leaves has entered everything by then.
        let latest = if self.owned_by_leaver() { self.company.people.hand_over } else { Timestamp::MAX };
        wanted.min(latest).max(at).max(self.now)
    }

    /// Days pass, at least one.
    pub(super) fn wait_days(&mut self, days: u32) {
        let calendar = &self.company.calendar;
        let next = calendar.in_working_hours(calendar.index_of(self.at) + days.max(1), &mut self.dice);
        self.pass_to(next);
    }

    /// Minutes pass.
    pub(super) fn wait_minutes(&mut self, low: u32, high: u32) {
        let minutes = self.dice.within(low, high);
        self.pass_to(minutes_later(self.at, minutes));
    }

    fn pass_to(&mut self, time: Timestamp) {
        self.hand_over_at(time);
        self.at = self.at.max(time);
    }

    pub(super) fn owned_by_leaver(&self) -> bool {
        self.owner.is_some_and(|owner| owner.id == self.company.people.leaver)
    }

    /// Gives an open deal of the one who leaves to somebody else, if that is due by `time`.
    pub(super) fn hand_over_at(&mut self, time: Timestamp) {
        let people = &self.company.people;
        if !self.open || !self.owned_by_leaver() || time < people.hand_over {
            return;
        }
        let morning = minutes_later(people.hand_over, self.dice.below(180));
        self.at = morning.max(self.last).max(self.now);
        let takers = people.takers(self.at);
        let Some(taker) = self.dice.pick(&takers).copied() else { return };
        self.owner = Some(taker);
        let change = deal::Change { owner: Patch::Set(taker.id), ..deal::Change::default() };
        self.push(Actor::User(people.manager), self.at, deal::Command::Change(Box::new(change)));
        self.at = minutes_later(self.at, 1);
    }

    /// Whole euros as an amount.
    pub(super) fn money(&self, euros: u32) -> Result<Money, Invalid> {
        Money::from_minor(i64::from(euros) * 100, self.company.euro)
    }
}
