//! What a rule is told about the world outside its own stream.

use std::{collections::HashMap, sync::Arc};

use dealog_events::{CustomerId, DealId, PipelineId, StreamId, Timestamp, UserId};

use crate::{Rejection, State, customer::Customer, deal::Deal, pipeline::Pipeline, settings::Settings, user::User};

/// The stream a command is for, the instant, and the states of the streams that the rule [`crate::reads`].
#[derive(Debug, Clone)]
pub struct Facts {
    stream: StreamId,
    now: Timestamp,
    own_deals_of: Option<UserId>,
    states: HashMap<StreamId, Arc<State>>,
}

impl Facts {
    /// Facts for a command on `stream` at `now`, with no other stream known yet.
    pub fn new(stream: StreamId, now: Timestamp) -> Self {
        Self { stream, now, own_deals_of: None, states: HashMap::new() }
    }

    /// Adds the state of another stream.
    #[must_use]
    pub fn with(mut self, stream: StreamId, state: Arc<State>) -> Self {
        self.states.insert(stream, state);
        self
    }

    /// Narrows the command to deals that this user owns, for callers who work no others.
    #[must_use]
    pub fn own_deals_of(self, user: Option<UserId>) -> Self {
        Self { own_deals_of: user, ..self }
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
        match self.own_deals_of {
            Some(user) if owner != Some(user) => Err(Rejection::NotYourDeal),
            _ => Ok(()),
        }
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
