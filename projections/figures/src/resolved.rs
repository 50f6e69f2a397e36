//! A question with everything in it looked up once: the instant, the definitions of then, and whom and what filters name.

use std::sync::atomic::{AtomicU32, Ordering};

use chrono::NaiveDate;
use dealog_events::{Currency, PipelineId, Position, Slug, TimeZone, Timestamp, pipeline::ForecastCategory};

use crate::{
    definitions::{Cut, Pipeline, StageDefinition},
    filter::Passes,
    group::Keys,
    image::Image,
    moment::Moment,
    names::Name,
    question::{Question, Unanswerable},
    shapes::{DAY_MICROS, Seen, Total},
    step::{Amount, State, Status},
    teams::TeamsOfUsers,
};

/// No amount in another currency has been met.
const NONE_FOREIGN: u32 = u32::MAX;

/// A question that an image can answer.
pub(crate) struct Resolved<'i> {
    pub(crate) image: &'i Image,
    pub(crate) cut: Cut,
    pub(crate) zone: TimeZone,
    /// The local day of the instant asked about.
    pub(crate) today: NaiveDate,
    currency: Option<Currency>,
    /// The reporting currency's number, where any amount is in it.
    currency_number: Option<u16>,
    /// The number of a currency that an amount was met in and that nothing converts.
    foreign: AtomicU32,
    /// All that were known, by age.
    pub(crate) pipelines: Vec<PipelineAt>,
    /// By the stage's name.
    by_stage: Vec<Option<StageAt>>,
    pub(crate) teams: Option<TeamsOfUsers>,
    pub(crate) passes: Passes,
    pub(crate) keys: Keys,
}

/// A pipeline as it was.
pub(crate) struct PipelineAt {
    pub(crate) id: PipelineId,
    pub(crate) name: String,
    /// Whether the question asks about it.
    pub(crate) wanted: bool,
    /// In order.
    pub(crate) stages: Vec<StageDefinition>,
    /// Whether its stages never had another order.
    order_is_constant: bool,
    /// Whether it took no more deals.
    pub(crate) archived: bool,
}

/// A stage as it was, by what deals in it need to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StageAt {
    /// Which of [`Resolved::pipelines`].
    pub(crate) pipeline: usize,
    /// Its place among the stages of that.
    pub(crate) place: usize,
    pub(crate) wanted: bool,
    probability: u16,
    category: ForecastCategory,
    stale_micros: i64,
}

impl<'i> Resolved<'i> {
    pub(crate) fn new(image: &'i Image, question: &Question) -> Result<Self, Unanswerable> {
        let Moment { at, position, zone, today, currency } =
            image.moment(question.as_of, question.known_at, question.now)?;
        let cut = Cut { at: at.micros(), position: u32::try_from(position.0).unwrap_or(u32::MAX) };
        let number = image.currencies.iter().position(|found| Some(*found) == currency);
        let mut resolved = Self {
            image,
            cut,
            zone,
            today,
            currency,
            currency_number: number.and_then(|number| u16::try_from(number).ok()),
            foreign: AtomicU32::new(NONE_FOREIGN),
            pipelines: Vec::new(),
            by_stage: Vec::new(),
            teams: None,
            passes: Passes::default(),
            keys: Keys::default(),
        };
        resolved.define(&question.filter.pipelines)?;
        if question.filter.names_teams() || question.grouping.names_teams() {
            resolved.teams = Some(TeamsOfUsers::new(image, cut.position));
        }
        resolved.passes = Passes::new(&question.filter, &resolved)?;
        resolved.keys = Keys::new(&question.grouping, &resolved)?;
        Ok(resolved)
    }

    /// Looks up the pipelines as they were.
    fn define(&mut self, wanted: &[PipelineId]) -> Result<(), Unanswerable> {
        let image = self.image;
        self.by_stage = vec![None; image.stages.len()];
        for (name, id) in image.pipelines.iter() {
            let history = image.pipeline_history.get(name.index());
            let Some((history, defined)) = history.and_then(|history| Some((history, history.at(self.cut)?))) else {
                continue;
            };
            let mut stages = defined.stages.clone();
            self.add_later_stages(&mut stages, history.later(self.cut));
            let wanted = wanted.is_empty() || wanted.contains(id);
            for (place, stage) in stages.iter().enumerate() {
                let stale_micros = stage.stale_after_days.map_or(i64::MAX, |days| i64::from(days) * DAY_MICROS);
                let at = StageAt {
                    pipeline: self.pipelines.len(),
                    place,
                    wanted,
                    probability: stage.probability.basis_points(),
                    category: stage.category,
                    stale_micros,
                };
                if let Some(entry) = self.by_stage.get_mut(stage.stage.index()) {
                    *entry = Some(at);
                }
            }
            let order = |pipeline: &Pipeline| pipeline.stages.iter().map(|stage| stage.stage).collect::<Vec<_>>();
            let order_is_constant = history.is_constant(order);
            let (name, archived) = (defined.name.clone(), defined.archived);
            self.pipelines.push(PipelineAt { id: *id, name, wanted, stages, order_is_constant, archived });
        }
        match wanted.iter().find(|id| !self.pipelines.iter().any(|pipeline| pipeline.id == **id)) {
            None => Ok(()),
            Some(id) => Err(Unanswerable::field("pipeline", format!("there is no pipeline {id}"))),
        }
    }

    /// A move may be dated before the stage it goes to was added. Such a stage takes the place that it was given, behind the one
    /// that it was put behind.
    fn add_later_stages<'p>(&self, stages: &mut Vec<StageDefinition>, later: impl Iterator<Item = &'p Pipeline>) {
        let entered = |stage: &StageDefinition| {
            let entered = self.image.entered.get(stage.stage.index());
            entered.is_some_and(|entered| entered.iter().any(|(at, position)| self.cut.has(*at, *position)))
        };
        for pipeline in later {
            let mut place = 0;
            for stage in &pipeline.stages {
                let found = stages.iter().position(|known| known.stage == stage.stage);
                if let Some(found) = found {
                    place = found + 1;
                } else if entered(stage) {
                    stages.insert(place, stage.clone());
                    place += 1;
                }
            }
        }
    }

    /// What the answer speaks of.
    pub(crate) fn seen(&self) -> Seen {
        Seen { position: Position(self.cut.position.into()), as_of: timestamp(self.cut.at) }
    }

    /// The currency of the figures.
    pub(crate) fn currency(&self) -> Result<Currency, Unanswerable> {
        self.currency.ok_or_else(|| {
            Unanswerable::field("currency", "no reporting currency is set: set one with PATCH /v1/settings")
        })
    }

    /// What a stage was.
    pub(crate) fn stage(&self, stage: Name) -> Option<&StageAt> {
        self.by_stage.get(stage.index())?.as_ref()
    }

    /// The same, if the question asks about its pipeline.
    pub(crate) fn wanted_stage(&self, stage: Name) -> Option<&StageAt> {
        self.stage(stage).filter(|stage| stage.wanted)
    }

    /// The places of two stages of one pipeline, in the order that the stages had at an instant. One that was added later has the
    /// place that it was given.
    pub(crate) fn places_at(&self, at: i64, stages: [Name; 2]) -> Option<[usize; 2]> {
        let [one, other] = stages;
        let places = |stages: &[StageDefinition]| {
            let place = |wanted: Name| stages.iter().position(|found| found.stage == wanted);
            Some([place(one)?, place(other)?])
        };
        let pipeline = self.pipelines.get(self.stage(one)?.pipeline)?;
        if pipeline.order_is_constant {
            return places(&pipeline.stages);
        }
        let history = self.image.pipeline_history.get(self.image.pipelines.find(&pipeline.id)?.index())?;
        let then = Cut { at, position: self.cut.position };
        let defined = history.at(then)?;
        places(&defined.stages).or_else(|| {
            let mut stages = defined.stages.clone();
            self.add_later_stages(&mut stages, history.later(then));
            places(&stages)
        })
    }

    /// Minor units of the reporting currency. An amount in another one is noted: see [`Resolved::check_currencies`].
    pub(crate) fn minor(&self, amount: Amount) -> i64 {
        self.minor_if(true, amount)
    }

    /// The same, or 0 of an amount that does not count.
    pub(crate) fn minor_if(&self, counts: bool, amount: Amount) -> i64 {
        if counts & (Some(amount.currency()) != self.currency_number) {
            self.foreign.store(amount.currency().into(), Ordering::Relaxed);
        }
        amount.minor() * i64::from(counts)
    }

    /// Refuses an answer in which amounts of another currency were added up: nothing converts them.
    pub(crate) fn check_currencies(&self) -> Result<(), Unanswerable> {
        let to = self.currency()?;
        let foreign = self.foreign.load(Ordering::Relaxed);
        match self.image.currencies.get(foreign as usize) {
            None => Ok(()),
            Some(from) => Err(Unanswerable::NoRate { from: from.to_string(), to: to.to_string(), day: self.today }),
        }
    }

    /// Minor units as a sum of money.
    pub(crate) fn total(&self, minor: i128) -> Result<Total, Unanswerable> {
        Ok(Total { minor, currency: self.currency()? })
    }

    /// The instants of a period; by default the calendar year up to just after the instant asked about. A period that the instant
    /// cuts short ends there.
    pub(crate) fn period(&self, period: &crate::question::Range) -> Result<(i64, i64), Unanswerable> {
        let end = self.cut.at.saturating_add(1);
        let to = period.to.map_or(end, |to| to.start(self.zone).micros());
        let from = match period.from {
            Some(from) => from.start(self.zone).micros(),
            None => self.year_before(to),
        };
        if from >= to {
            let message = format!("the period ends at {}, not after it begins at {}", timestamp(to), timestamp(from));
            return Err(Unanswerable::field("to", message));
        }
        if from > self.cut.at {
            let message = format!("the period begins at {}, after the instant asked about", timestamp(from));
            return Err(Unanswerable::field("from", message));
        }
        Ok((from, to.min(end)))
    }

    /// The local midnight that begins the day a calendar year before an instant.
    fn year_before(&self, to: i64) -> i64 {
        let day = self.zone.day_of(timestamp(to));
        let before = day.checked_sub_months(chrono::Months::new(12)).unwrap_or(day);
        self.zone.day_start(before).micros()
    }
}

impl State {
    /// Its probability in basis points: its own, or that of its stage.
    pub(crate) fn chance(&self, stage: &StageAt) -> i64 {
        self.probability.unwrap_or(stage.probability).into()
    }

    /// Its forecast category: its own, or that of its stage.
    pub(crate) fn category_in(&self, stage: &StageAt) -> ForecastCategory {
        self.category.unwrap_or(stage.category)
    }

    /// Whether it is open, and longer in its stage than that allows.
    pub(crate) fn is_stale(&self, stage: &StageAt, at: i64) -> bool {
        self.status == Status::Open && at - self.since > stage.stale_micros
    }

    /// Whether it is open, and was expected to be closed by now.
    pub(crate) fn is_overdue(&self, today: NaiveDate) -> bool {
        self.status == Status::Open && self.expected_close.is_some_and(|day| day < today)
    }
}

/// An amount weighted with basis points, rounded half up. An amount has fewer than 48 bits, so that this has fewer than 63.
pub(crate) fn weighted(minor: i64, basis_points: i64) -> i64 {
    (minor * basis_points + 5_000) / 10_000
}

/// Microseconds that are an instant's.
pub(crate) fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// Slugs as people read them in an error.
pub(crate) fn listed<'s>(slugs: impl Iterator<Item = &'s Slug>) -> String {
    slugs.map(Slug::as_str).collect::<Vec<_>>().join(", ")
}
