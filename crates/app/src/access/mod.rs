//! Access: who calls, what they may do, and commands in their name.
//!
//! Callers are people and services, each with a token. A person's role comes from the log, so that a change of role or a
//! deactivation holds for tokens given out long before; a service may do what its token lists. Until the first token is created, every
//! caller is `local` and may do everything.

mod caller;
mod mark;
mod permission;
mod rate;
#[cfg(test)]
mod tests;
mod token;

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dealog_commands::{CommandError, Commands, Meta, Outcome, Request, command_id};
use dealog_domain::{Command, Occurred, State as StreamState};
use dealog_events::{Actor, Cause, CommandId, StreamId, UserId, Version, user::Role};
use dealog_store::{Fingerprint, StoreError, Token, TokenStore};
use moka::sync::Cache;
use uuid::Uuid;

use self::{rate::Rates, token::Presented};
use crate::Limits;

pub use caller::Caller;
pub use mark::Mark;
pub use permission::Permission;
pub use rate::{Allowance, TooFast};
pub use token::{Key, Secret, service};

/// How long what is known of a token is believed: a revocation takes no longer than this to be felt.
pub const BELIEVED: Duration = Duration::from_secs(1);
/// Tokens that are kept in mind.
const KNOWN_MAX: u64 = 10_000;

/// The answer to a made-up token, and to one that a restored backup does not have.
const NOT_OURS: &str = "this is not a token of this server's";

/// Why a caller is not let in, or may not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There are tokens, and the caller has sent none.
    #[error("a token is needed; `dealog token create` makes one")]
    NoToken,
    /// The token is worth nothing.
    #[error("{reason}")]
    BadToken {
        /// Its id, where it was given out for this log once.
        token: Option<Uuid>,
        /// Why.
        reason: &'static str,
    },
    /// The caller is known, and may not do this.
    #[error("this takes the permission `{needed}`, which this token does not have")]
    Forbidden {
        /// What it takes.
        needed: Permission,
        /// What the caller may do.
        permitted: Arc<[Permission]>,
    },
}

/// Why it is not known whether a caller is let in, or that they are not.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// They are not.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Tokens cannot be looked up.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The role of a user cannot be looked up.
    #[error(transparent)]
    User(#[from] CommandError),
    /// The mark of earlier tokens cannot be read.
    #[error("whether there have been tokens cannot be read in the data folder: {0}")]
    Mark(io::Error),
}

/// What surrounds a command, as its caller says it.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The caller's own name for it: sent again under this name, it is not carried out again. None for a command of its own each time.
    pub name: Option<String>,
    /// What it asks, to tell another command under the same name.
    pub fingerprint: Fingerprint,
    /// When it happened.
    pub occurred: Occurred,
    /// The versions of the stream at which it may be carried out; any if absent.
    pub if_match: Option<Vec<Version>>,
}

/// What is known of a token, for a moment.
#[derive(Clone)]
struct Known {
    token: Token,
    /// Who has it, or why it is worth nothing whatever it says.
    bearer: Result<Caller, &'static str>,
}

/// Knows who calls, and carries out commands in their name. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    tokens: Arc<dyn TokenStore>,
    key: Key,
    commands: Commands,
    /// Tokens by id; none where there is no such token.
    known: Cache<Uuid, Option<Known>>,
    /// That there have never been tokens, for a moment.
    open: Cache<(), ()>,
    /// Whether there has been a token. Once there has, that stays so, and nobody has to ask the database.
    closed: Arc<AtomicBool>,
    rates: Rates,
    limits: Limits,
    /// Whether a token is asked for though there has never been one.
    required: bool,
    /// What says so where the database does not any more.
    mark: Option<Mark>,
}

impl Access {
    /// Access by these tokens, with the roles that users have in the log of `commands`.
    pub async fn new(tokens: Arc<dyn TokenStore>, commands: Commands, limits: Limits) -> Result<Self, StoreError> {
        Ok(Self {
            key: Key::new(tokens.token_key().await?),
            tokens,
            commands,
            known: Cache::builder().max_capacity(KNOWN_MAX).time_to_live(BELIEVED).build(),
            open: Cache::builder().time_to_live(BELIEVED).build(),
            closed: Arc::default(),
            rates: Rates::new(),
            limits,
            required: false,
            mark: None,
        })
    }

    /// The same, which lets nobody in without a token, though there may never have been one.
    #[must_use]
    pub fn required(self, required: bool) -> Self {
        Self { required, ..self }
    }

    /// The same, which remembers that there have been tokens when the database does not any more.
    #[must_use]
    pub fn marked(self, mark: Mark) -> Self {
        Self { mark: Some(mark), ..self }
    }

    /// Whether every caller may do everything, because there has never been a token.
    pub async fn is_open(&self) -> Result<bool, AccessError> {
        if self.required || self.closed.load(Ordering::Relaxed) {
            return Ok(false);
        }
        if self.open.contains_key(&()) {
            return Ok(true);
        }
        let has_tokens = self.tokens.has_tokens().await?;
        if let (true, Some(mark)) = (has_tokens, &self.mark)
            && let Err(error) = mark.set()
        {
            tracing::error!(%error, "it cannot be written down in the data folder that there are tokens");
        }
        let marked = || self.mark.as_ref().map_or(Ok(false), Mark::is_set);
        if has_tokens || marked().map_err(AccessError::Mark)? {
            self.closed.store(true, Ordering::Relaxed);
            return Ok(false);
        }
        self.open.insert((), ());
        Ok(true)
    }

    /// Who calls without a token.
    pub async fn without_token(&self) -> Result<Caller, AccessError> {
        if self.is_open().await? { Ok(Caller::local()) } else { Err(Refused::NoToken.into()) }
    }

    /// Who calls with this token.
    pub async fn with_token(&self, token: &str) -> Result<Caller, AccessError> {
        let Some(presented) = Presented::parse(token, &self.key) else { return Err(Self::made_up().into()) };
        let reason = match self.look_up(presented.id).await? {
            Some(Known { token, bearer }) if presented.is(&token) => match bearer {
                Ok(caller) if token.is_valid(self.commands.now()) => return Ok(caller),
                Ok(_) if token.revoked_at.is_some() => "this token has been revoked",
                Ok(_) => "this token has expired",
                Err(reason) => reason,
            },
            _ => NOT_OURS,
        };
        Err(Refused::BadToken { token: Some(presented.id), reason }.into())
    }

    /// What is said of a token that was never given out for this log.
    pub fn made_up() -> Refused {
        Refused::BadToken { token: None, reason: NOT_OURS }
    }

    /// Whether nobody but this user could act as an admin: no other active one has a token that is worth something. What is
    /// found may be out of date a moment later, which does no harm: only this admin could have made another one.
    async fn is_only_admin(&self, user: UserId) -> Result<bool, AccessError> {
        let now = self.commands.now();
        let tokens = self.tokens.tokens().await?;
        let actors: HashSet<Actor> =
            tokens.iter().filter(|token| token.is_valid(now)).map(|token| token.actor).collect();
        for actor in actors {
            if let Actor::User(other) = actor
                && other != user
                && let StreamState::User(Some(state)) = &*self.commands.state(StreamId::User(other)).await?
                && state.active
                && state.roles.has(Role::Admin)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets the only admin change their own role or access, where it is theirs that `stream` has. True where that was so.
    pub async fn as_only_admin(&self, caller: &mut Caller, stream: StreamId) -> Result<bool, AccessError> {
        match caller.standing.own_role_of {
            Some(user) if StreamId::User(user) == stream && self.is_only_admin(user).await? => {
                caller.standing.own_role_of = None;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Takes a command from what the caller may send, before anything else is known of it.
    pub fn take_command(&self, caller: &Caller) -> Result<(), TooFast> {
        caller.rate.map_or(Ok(()), |rate| self.rates.take(caller.actor, rate))
    }

    /// How many commands the caller may still send at once; none where that is not limited.
    pub fn allowance(&self, caller: &Caller) -> Option<Allowance> {
        caller.rate.map(|rate| self.rates.allowance(caller.actor, rate))
    }

    /// Carries out a command in the caller's name. What it appends beyond one event is taken from what they may send.
    pub async fn command(
        &self,
        caller: &Caller,
        stream: StreamId,
        command: Command,
        terms: Terms,
    ) -> Result<Outcome, CommandError> {
        let command_id = match &terms.name {
            Some(name) => command_id(caller.actor, name),
            None => CommandId(Uuid::now_v7()),
        };
        let meta = Meta {
            command_id,
            fingerprint: terms.fingerprint,
            cause: Cause::new(caller.actor, command_id),
            now: None,
            occurred: terms.occurred,
            if_match: terms.if_match,
            standing: caller.standing,
        };
        let outcome = self.commands.execute(&Request { stream, command, meta }).await?;
        if let StreamId::User(_) = stream {
            // What is known of tokens may not hold any more: here the change is felt at once.
            self.known.invalidate_all();
        }
        if let (Some(rate), false, more @ 1..) = (caller.rate, outcome.replayed, outcome.events.saturating_sub(1)) {
            self.rates.charge(caller.actor, rate, more);
        }
        Ok(outcome)
    }

    async fn look_up(&self, id: Uuid) -> Result<Option<Known>, AccessError> {
        if let Some(known) = self.known.get(&id) {
            return Ok(known);
        }
        let found = match self.tokens.token(id).await? {
            Some(token) => {
                let bearer = self.bearer(&token).await?;
                Some(Known { token, bearer })
            }
            None => None,
        };
        self.known.insert(id, found.clone());
        Ok(found)
    }

    /// Who has this token, or why it is worth nothing.
    async fn bearer(&self, token: &Token) -> Result<Result<Caller, &'static str>, AccessError> {
        let Actor::User(user) = token.actor else {
            let permissions = token.permissions.iter().filter_map(|name| name.parse().ok()).collect();
            return Ok(Ok(Caller::of_service(token.actor, permissions, &self.limits)));
        };
        Ok(match &*self.commands.state(StreamId::User(user)).await? {
            StreamState::User(Some(state)) if state.active => Ok(Caller::of_roles(user, &state.roles, &self.limits)),
            _ => Err("the user of this token may do nothing any more"),
        })
    }
}
