//! What a rule is told about the world outside its own stream.

use std::{collections::HashMap, sync::Arc};

use dealog_events::{CustomerId, DealId, PipelineId, StreamId, Timestamp, UserId, deal::Outcome};

use crate::{
    Rejection, Standing, State, customer::Customer, deal::Deal, pipeline::Pipeline, settings::Settings, user::User,
};

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// The stream a command is for, the instant, and the states of the streams that the rule [`crate::reads`].
#[derive(Debug, Clone)]
pub struct Facts {
    stream: StreamId,
    now: Timestamp,
    standing: Standing,
    states: HashMap<StreamId, Arc<State>>,
}

impl Facts {
    /// Facts for a command on `stream` at `now` of a caller who may do everything, with no other stream known yet.
    pub fn new(stream: StreamId, now: Timestamp) -> Self {
        Self { stream, now, standing: Standing::FULL, states: HashMap::new() }
    }

    /// Adds the state of another stream.
    #[must_use]
    pub fn with(mut self, stream: StreamId, state: Arc<State>) -> Self {
        self.states.insert(stream, state);
        self
    }

    /// The same for a caller who stands here.
    #[must_use]
    pub fn of(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }

    /// The stream that the command is for.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The instant of deciding.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Refuses a deal of this owner to a caller who works own deals only.
    pub(crate) fn may_work(&self, owner: Option<UserId>) -> Result<(), Rejection> {
        match self.standing.own_deals_of {
            Some(user) if owner != Some(user) => Err(Rejection::NotYourDeal),
            _ => Ok(()),
        }
    }

    /// Refuses a change of a deal that ended like this to a caller who changes none of those.
    pub(crate) fn may_change_closed(&self, outcome: Option<Outcome>) -> Result<(), Rejection> {
        match outcome {
            Some(was) if !self.standing.changes_closed_deals => Err(Rejection::ClosedDealNotYours { was }),
            _ => Ok(()),
        }
    }

    /// Refuses a change of the caller's own role or access, which somebody else must make.
    pub(crate) fn may_change_access(&self) -> Result<(), Rejection> {
        match self.standing.own_role_of {
            Some(user) if self.stream == StreamId::User(user) => Err(Rejection::OwnRole),
            _ => Ok(()),
        }
    }

    /// Refuses an instant that lies more than `days_max` days back, to a caller who may not reach back further.
    pub fn may_backdate(&self, occurred_at: Timestamp, days_max: u32) -> Result<(), Rejection> {
        let earliest = self.now.saturating_add_micros(-i64::from(days_max).saturating_mul(DAY_MICROS));
        if occurred_at < earliest && !self.standing.backdates {
            return Err(Rejection::Backdated { occurred_at, earliest });
        }
        Ok(())
    }

    pub(crate) fn settings(&self) -> &Settings {
        match self.states.get(&StreamId::Settings).map(AsRef::as_ref) {
            Some(State::Settings(settings)) => settings,
            _ => Settings::unset(),
        }
    }

    pub(crate) fn pipeline(&self, field: &'static str, id: PipelineId) -> Result<&Pipeline, Rejection> {
        match self.states.get(&StreamId::Pipeline(id)).map(AsRef::as_ref) {
            Some(State::Pipeline(Some(pipeline))) => Ok(pipeline),
            _ => Err(Rejection::UnknownReference { field, stream: StreamId::Pipeline(id) }),
        }
    }

    pub(crate) fn customer(&self, id: CustomerId) -> Result<&Customer, Rejection> {
        match self.states.get(&StreamId::Customer(id)).map(AsRef::as_ref) {
            Some(State::Customer(Some(customer))) => Ok(customer),
            _ => Err(Rejection::UnknownReference { field: "customer", stream: StreamId::Customer(id) }),
        }
    }

    pub(crate) fn deal(&self, field: &'static str, id: DealId) -> Result<&Deal, Rejection> {
        match self.states.get(&StreamId::Deal(id)).map(AsRef::as_ref) {
            Some(State::Deal(Some(deal))) => Ok(deal),
            _ => Err(Rejection::UnknownReference { field, stream: StreamId::Deal(id) }),
        }
    }

    /// A user who has not been deactivated.
    pub(crate) fn active_user(&self, field: &'static str, id: UserId) -> Result<&User, Rejection> {
        match self.states.get(&StreamId::User(id)).map(AsRef::as_ref) {
            Some(State::User(Some(user))) if user.active => Ok(user),
            Some(State::User(Some(_))) => Err(Rejection::InactiveUser { field, user: id }),
            _ => Err(Rejection::UnknownReference { field, stream: StreamId::User(id) }),
        }
    }
}
