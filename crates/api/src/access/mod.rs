//! Access: who calls, and what they may do.
//!
//! Callers are people and services, each with a bearer token. A person's role comes from the log, so that a change of role
//! or a deactivation holds for tokens given out long before; a service may do what its token lists. As long as there has
//! never been a token, whoever reaches the server is `local`: it listens on loopback only then, and refuses what a browser
//! carries from elsewhere.

mod failures;
mod lately;
mod permission;
#[cfg(test)]
mod tests;
mod token;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use dealog_commands::Commands;
use dealog_domain::State as StreamState;
use dealog_events::{Actor, StreamId, UserId, user::Role};
use dealog_store::{StoreError, Token, TokenStore};
use moka::sync::Cache;
use uuid::Uuid;

use self::{failures::Failures, lately::Lately, token::Presented};
use crate::{App, Limits, connection::Peer, problem::Problem};

pub use permission::Permission;
pub use token::{Key, Secret, service};

/// How long what is known of a token is believed: a revocation takes no longer than this to be felt.
const BELIEVED: Duration = Duration::from_secs(1);
/// Tokens that are kept in mind.
const KNOWN_MAX: u64 = 10_000;

/// What whoever made up a token is told, and the holder of a token that a restored backup does not have.
const NOT_OURS: &str = "this is not a token of this server's";

/// Who calls.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// By whom events will have been caused.
    pub(crate) actor: Actor,
    /// What they may do; none where they may do everything.
    permissions: Option<Arc<[Permission]>>,
    /// The user whose deals alone they may work.
    pub(crate) own_deals_of: Option<UserId>,
}

impl Caller {
    const LOCAL: Self = Self { actor: Actor::Local, permissions: None, own_deals_of: None };

    fn of_role(user: UserId, role: Role) -> Self {
        let own_deals_of = (role == Role::Seller).then_some(user);
        Self { actor: Actor::User(user), permissions: Some(Permission::of_role(role).into()), own_deals_of }
    }

    fn must_have(&self, needed: Permission) -> Result<(), Problem> {
        match &self.permissions {
            Some(permissions) if !permissions.contains(&needed) => {
                let detail = format!("this takes the permission `{needed}`, which this token does not have");
                let allowed = permissions.iter().map(ToString::to_string).collect();
                Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail).field("Authorization").allowed(allowed))
            }
            _ => Ok(()),
        }
    }
}

/// What is known of a token, for a moment.
#[derive(Clone)]
struct Known {
    token: Token,
    /// Who has it, or why it is worth nothing whatever it says.
    bearer: Result<Caller, &'static str>,
}

/// Knows who calls. Cheap to clone.
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
    failures: Failures,
    lately: Lately,
}

impl Access {
    /// Access by these tokens, with the roles that users have in the log of `commands`.
    pub async fn new(tokens: Arc<dyn TokenStore>, commands: Commands, limits: &Limits) -> Result<Self, StoreError> {
        Ok(Self {
            key: Key::new(tokens.token_key().await?),
            tokens,
            commands,
            known: Cache::builder().max_capacity(KNOWN_MAX).time_to_live(BELIEVED).build(),
            open: Cache::builder().time_to_live(BELIEVED).build(),
            closed: Arc::default(),
            failures: Failures::new(limits.failed_attempts_max, limits.failed_attempts_window),
            lately: Lately::new(),
        })
    }

    /// Whether whoever reaches this server may do everything: there has never been a token.
    pub(crate) async fn is_open(&self) -> Result<bool, Problem> {
        if self.closed.load(Ordering::Relaxed) {
            return Ok(false);
        }
        if self.open.contains_key(&()) {
            return Ok(true);
        }
        if self.tokens.has_tokens().await? {
            self.closed.store(true, Ordering::Relaxed);
            return Ok(false);
        }
        self.open.insert((), ());
        Ok(true)
    }

    async fn caller(&self, headers: &HeaderMap, from: Option<IpAddr>) -> Result<Caller, Problem> {
        let Some(authorization) = headers.get(header::AUTHORIZATION) else {
            return if self.is_open().await? { Ok(Caller::LOCAL) } else { Err(no_token()) };
        };
        let credentials = authorization.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        let Some(presented) = credentials.and_then(|credentials| Presented::parse(credentials, &self.key)) else {
            return Err(self.failures.count(from, None, NOT_OURS));
        };
        let reason = match self.look_up(presented.id).await? {
            Some(Known { token, bearer }) if presented.is(&token) => match bearer {
                Ok(caller) if token.is_valid(self.commands.now()) => return Ok(caller),
                Ok(_) if token.revoked_at.is_some() => "this token has been revoked",
                Ok(_) => "this token has expired",
                Err(reason) => reason,
            },
            _ => NOT_OURS,
        };
        Err(self.failures.count(from, Some(presented.id), reason))
    }

    /// Returns when whoever was let in with these headers may not do this any more: a stream goes on long after that was
    /// looked at.
    pub(crate) async fn withdrawn(self, headers: HeaderMap, needed: Permission) {
        loop {
            tokio::time::sleep(BELIEVED).await;
            // As from nowhere: failed attempts of others at the same address are not held against a stream.
            let allowed = self.caller(&headers, None).await.and_then(|caller| caller.must_have(needed));
            if allowed.is_err_and(|problem| problem.is_refusal()) {
                return;
            }
        }
    }

    async fn look_up(&self, id: Uuid) -> Result<Option<Known>, Problem> {
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
    async fn bearer(&self, token: &Token) -> Result<Result<Caller, &'static str>, Problem> {
        let Actor::User(user) = token.actor else {
            let permissions = token.permissions.iter().filter_map(|name| name.parse().ok()).collect();
            return Ok(Ok(Caller { actor: token.actor, permissions: Some(permissions), own_deals_of: None }));
        };
        Ok(match &*self.commands.state(StreamId::User(user)).await? {
            StreamState::User(Some(state)) if state.active => Ok(Caller::of_role(user, state.role)),
            _ => Err("the user of this token may do nothing any more"),
        })
    }
}

fn no_token() -> Problem {
    let detail = "send a token as `Authorization: Bearer dealog_...`; `dealog token create` makes one";
    Problem::new(StatusCode::UNAUTHORIZED, "no_token", detail).field("Authorization")
}

/// What requests to a resource take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    pub(crate) to_read: Permission,
    pub(crate) to_write: Permission,
}

/// Lets a request through whose caller may make it, and tells the handler who that is.
pub(crate) async fn guard(
    State((app, needs)): State<(Arc<App>, Needs)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let from = request.extensions().get::<ConnectInfo<Peer>>().map(|ConnectInfo(Peer(from))| *from);
    let asked = app.access.caller(request.headers(), from);
    let caller = match needs.to_read {
        // What is measured is wanted most while the database is away.
        Permission::Metrics => app.access.lately.or_asked(request.headers(), asked).await?,
        _ => asked.await?,
    };
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    caller.must_have(if reads { needs.to_read } else { needs.to_write })?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}
