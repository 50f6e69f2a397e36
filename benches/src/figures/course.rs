//! What happens to one deal, from its creation on: some eight events.

use chrono::NaiveDate;
use dealog_events::{
    DealId, Fields, Money, Probability, TimeZone, Timestamp, UserId,
    deal::{
        AmountChanged, Created, DealEvent, ExpectedCloseChanged, ForecastCategorySet, Lost, Outcome, OwnerAssigned,
        Place, ProbabilityCleared, ProbabilitySet, Reopened, StageMoved, Transferred, Won,
    },
    pipeline::ForecastCategory,
};

use super::{
    company::{Company, Pipeline, id},
    dice::Dice,
    time::{DAY, END, at, begins},
};
use crate::Result;

const MINUTE: i64 = 60_000_000;
/// Visits of a deal, after which nothing more happens to it.
const VISITS_MAX: usize = 20;

/// An event of a deal, with when it happened and when it was recorded.
pub(super) struct Happened {
    pub(super) occurred_at: i64,
    pub(super) recorded_at: i64,
    pub(super) event: DealEvent,
}

/// Everything that happens to deal `number` of `deals`, in order, up to the end of the log.
pub(super) fn course(company: &Company, number: u64, deals: u64) -> Result<(DealId, Vec<Happened>)> {
    let mut dice = Dice::new(number);
    let created_at = begins(number, deals);
    let deal = DealId(id(created_at, &mut dice)?);
    let pipeline = dice.weighted(&[60, 25, 15]);
    let mut course = Course {
        company,
        now: created_at,
        recorded_at: created_at,
        pipeline,
        stage: usize::from(dice.percent(10)),
        owner: None,
        amount: None,
        expected: None,
        probability: None,
        category: None,
        events: Vec::with_capacity(12),
        dice,
    };
    course.create(number)?;
    course.live()?;
    let mut events = course.events;
    let within = events.iter().take_while(|happened| happened.recorded_at < END).count();
    events.truncate(within);
    Ok((deal, events))
}

struct Course<'c> {
    company: &'c Company,
    dice: Dice,
    now: i64,
    recorded_at: i64,
    pipeline: usize,
    stage: usize,
    owner: Option<UserId>,
    amount: Option<Money>,
    expected: Option<NaiveDate>,
    probability: Option<Probability>,
    category: Option<ForecastCategory>,
    events: Vec<Happened>,
}

/// How a visit to a stage ends.
enum Ends {
    On,
    Back,
    Won,
    Lost,
    Elsewhere,
    /// Nobody does anything more.
    Never,
}

impl Course<'_> {
    /// It is told at once as a rule, and some days later now and then.
    fn happens(&mut self, event: DealEvent) {
        let told_after =
            if self.dice.percent(8) { self.dice.within(MINUTE, 3 * DAY) } else { self.dice.within(0, MINUTE / 2) };
        self.recorded_at = self.recorded_at.max(self.now + told_after);
        self.events.push(Happened { occurred_at: self.now, recorded_at: self.recorded_at, event });
    }

    fn create(&mut self, number: u64) -> Result<()> {
        let Self { company, dice, .. } = self;
        self.owner = if dice.percent(3) { None } else { one(&company.sellers, dice).copied() };
        self.amount = if dice.percent(8) { None } else { Some(amount(company, dice)?) };
        let days = dice.within(20, 120);
        self.expected = if dice.percent(10) { None } else { Some(day(self.now + days * DAY)?) };
        let (customer, source) = (one(&company.customers, dice).copied(), one(&company.sources, dice).cloned());
        let campaign = if dice.percent(30) { one(&company.campaigns, dice).copied() } else { None };
        let Place { pipeline, stage } = self.place()?;
        self.happens(DealEvent::Created(Created {
            title: format!("Deal {number}").parse()?,
            pipeline,
            stage,
            customer,
            owner: self.owner,
            amount: self.amount,
            expected_close: self.expected,
            source,
            campaign,
            fields: Fields::new(),
        }));
        Ok(())
    }

    /// Goes from stage to stage until nothing happens any more.
    fn live(&mut self) -> Result<()> {
        for _ in 0..VISITS_MAX {
            let ends = self.ends()?;
            self.stay()?;
            let goes_on = match ends {
                Ends::Never => false,
                Ends::On => {
                    let by = if self.dice.percent(10) { 2 } else { 1 };
                    let last = self.in_pipeline()?.stages.len().saturating_sub(1);
                    self.move_to((self.stage + by).min(last))?
                }
                Ends::Back => self.move_to(self.stage.saturating_sub(1))?,
                Ends::Elsewhere => self.transfer()?,
                Ends::Won => self.win()?,
                Ends::Lost => self.lose()?,
            };
            if !goes_on || self.now >= END {
                break;
            }
        }
        Ok(())
    }

    fn ends(&mut self) -> Result<Ends> {
        let last = self.in_pipeline()?.stages.len() == self.stage + 1;
        let weights = if last { [0, 5, 60, 32, 1, 2] } else { [70, 5, 2, 19, 1, 3] };
        Ok(match self.dice.weighted(&weights) {
            0 => Ends::On,
            1 if self.stage > 0 => Ends::Back,
            2 => Ends::Won,
            1 | 3 => Ends::Lost,
            4 => Ends::Elsewhere,
            _ => Ends::Never,
        })
    }

    /// Time passes in a stage, and some things change.
    fn stay(&mut self) -> Result<()> {
        let usual_days = self.in_pipeline()?.stages.get(self.stage).map_or(0, |stage| stage.usual_days);
        let whole = usual_days * DAY / 100 * self.dice.within(10, 250);
        let part = whole / 8;
        let until = self.now + whole;
        if self.dice.percent(42) {
            self.now += self.dice.within(1, part);
            let to = if self.dice.percent(3) { None } else { Some(amount(self.company, &mut self.dice)?) };
            self.happens(DealEvent::AmountChanged(AmountChanged { from: self.amount, to }));
            self.amount = to;
        }
        if self.dice.percent(46) {
            self.now += self.dice.within(1, part);
            let days = self.dice.within(-10, 60);
            let to = Some(day(until + days * DAY)?);
            self.happens(DealEvent::ExpectedCloseChanged(ExpectedCloseChanged { from: self.expected, to }));
            self.expected = to;
        }
        if self.dice.percent(14) {
            self.now += self.dice.within(1, part);
            self.assign();
        }
        if self.dice.percent(14) {
            self.now += self.dice.within(1, part);
            let to = Probability::from_basis_points(u16::try_from(self.dice.within(1, 19) * 500)?)?;
            self.happens(DealEvent::ProbabilitySet(ProbabilitySet { from: self.probability, to }));
            self.probability = Some(to);
        } else if self.dice.percent(20)
            && let Some(from) = self.probability.take()
        {
            self.now += self.dice.within(1, part);
            self.happens(DealEvent::ProbabilityCleared(ProbabilityCleared { from, to: () }));
        }
        if self.dice.percent(10) {
            self.now += self.dice.within(1, part);
            let to = one(
                &[ForecastCategory::Pipeline, ForecastCategory::BestCase, ForecastCategory::Commit],
                &mut self.dice,
            )
            .copied();
            self.happens(DealEvent::ForecastCategorySet(ForecastCategorySet { from: self.category, to }));
            self.category = to;
        }
        self.now = until.max(self.now);
        Ok(())
    }

    fn assign(&mut self) {
        let to = one(&self.company.sellers, &mut self.dice).copied();
        self.happens(DealEvent::OwnerAssigned(OwnerAssigned { from: self.owner, to }));
        self.owner = to;
    }

    fn move_to(&mut self, stage: usize) -> Result<bool> {
        let from = self.place()?;
        self.stage = stage;
        let to = self.place()?.stage;
        self.happens(DealEvent::StageMoved(StageMoved { pipeline: from.pipeline, from: from.stage, to, reason: None }));
        Ok(true)
    }

    fn transfer(&mut self) -> Result<bool> {
        let from = self.place()?;
        (self.pipeline, self.stage) = ((self.pipeline + 1) % self.company.pipelines.len(), 0);
        let to = self.place()?;
        self.happens(DealEvent::Transferred(Transferred { from, to }));
        Ok(true)
    }

    fn win(&mut self) -> Result<bool> {
        let won_at = if let Some(amount) = self.amount {
            amount
        } else {
            let to = amount(self.company, &mut self.dice)?;
            self.happens(DealEvent::AmountChanged(AmountChanged { from: None, to: Some(to) }));
            *self.amount.insert(to)
        };
        let Place { pipeline, stage } = self.place()?;
        self.happens(DealEvent::Won(Won {
            pipeline,
            stage,
            amount: won_at,
            closed_at: Timestamp::from_micros(self.now)?,
            contract: None,
        }));
        self.after(Outcome::Won, 1)
    }

    fn lose(&mut self) -> Result<bool> {
        let Place { pipeline, stage } = self.place()?;
        let reason = self.dice.weighted(&[28, 22, 15, 18, 14, 3]);
        let Some((reason, counted)) = self.company.reasons.get(reason).cloned() else { return Ok(false) };
        let competitor =
            if self.dice.percent(25) { one(&self.company.competitors, &mut self.dice).cloned() } else { None };
        let closed_at = Timestamp::from_micros(self.now)?;
        self.happens(DealEvent::Lost(Lost {
            pipeline,
            stage,
            reason,
            counted,
            closed_at,
            competitor,
            duplicate_of: None,
            note: None,
        }));
        self.after(Outcome::Lost, 4)
    }

    /// After a closing, a few customers go to someone else, and a few deals are taken up again.
    fn after(&mut self, was: Outcome, reopened_percent: usize) -> Result<bool> {
        if self.dice.percent(5) {
            self.now += self.dice.within(DAY, 60 * DAY);
            self.assign();
        }
        if !self.dice.percent(reopened_percent) {
            return Ok(false);
        }
        self.now += self.dice.within(DAY, 90 * DAY);
        let Place { pipeline, stage } = self.place()?;
        self.happens(DealEvent::Reopened(Reopened { pipeline, stage, was, reason: "They called again".parse()? }));
        Ok(true)
    }

    fn in_pipeline(&self) -> Result<&Pipeline> {
        Ok(self.company.pipelines.get(self.pipeline).ok_or("a pipeline that there is not")?)
    }

    fn place(&self) -> Result<Place> {
        let pipeline = self.in_pipeline()?;
        let stage = pipeline.stages.get(self.stage).ok_or("a stage that there is not")?;
        Ok(Place { pipeline: pipeline.id, stage: stage.slug.clone() })
    }
}

fn one<'a, T>(list: &'a [T], dice: &mut Dice) -> Option<&'a T> {
    list.get(dice.below(list.len()))
}

/// From 500 to 200,000 euros and some cents, small ones oftener than large ones.
fn amount(company: &Company, dice: &mut Dice) -> Result<Money> {
    let largest = dice.within(50_000, 20_000_000);
    Ok(Money::from_minor(dice.within(50_000, largest), company.currency)?)
}

fn day(micros: i64) -> Result<NaiveDate> {
    Ok(TimeZone::UTC.day_of(at(micros)?))
}
