//! Access: who calls, and what they may do.
//!
//! Callers are people and services, each with a bearer token. A person's role comes from the log, so that a change of role
//! or a deactivation holds for tokens given out long before; a service may do what its token lists. As long as there has
//! never been a token, whoever reaches the server is `local`: it listens on loopback only then, and refuses what a browser
//! carries from elsewhere.

mod failures;
mod permission;
mod token;

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use axum_extra::headers::{Authorization, Header as _, authorization::Bearer};
use dealog_commands::Commands;
use dealog_domain::State as StreamState;
use dealog_events::{Actor, StreamId, UserId, user::Role};
use dealog_store::{Token, TokenStore};
use moka::sync::Cache;
use uuid::Uuid;

use self::{failures::Failures, token::Presented};
use crate::{App, Limits, connection::Peer, problem::Problem};

pub use permission::Permission;
pub use token::{Secret, service};

/// How long what is known of a token is believed: a revocation takes no longer than this to be felt.
const BELIEVED: Duration = Duration::from_secs(1);
/// Tokens that are kept in mind.
const KNOWN_MAX: u64 = 10_000;

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
    commands: Commands,
    /// Tokens by id; none where there is no such token.
    known: Cache<Uuid, Option<Known>>,
    /// Whether there has ever been a token.
    any: Cache<(), bool>,
    failures: Failures,
    /// Whether a token is asked for though there has never been one.
    required: bool,
}

impl Access {
    /// Access by these tokens, with the roles that users have in the log of `commands`.
    pub fn new(tokens: Arc<dyn TokenStore>, commands: Commands, limits: &Limits) -> Self {
        Self {
            tokens,
            commands,
            known: Cache::builder().max_capacity(KNOWN_MAX).time_to_live(BELIEVED).build(),
            any: Cache::builder().time_to_live(BELIEVED).build(),
            failures: Failures::new(limits.failed_attempts_max, limits.failed_attempts_window),
            required: false,
        }
    }

    /// The same, which lets nobody in without a token, though there may never have been one.
    #[must_use]
    pub fn required(self, required: bool) -> Self {
        Self { required, ..self }
    }

    /// Whether whoever reaches this server may do everything: there has never been a token.
    pub(crate) async fn is_open(&self) -> Result<bool, Problem> {
        if self.required {
            return Ok(false);
        }
        if let Some(any) = self.any.get(&()) {
            return Ok(!any);
        }
        let any = self.tokens.has_tokens().await?;
        self.any.insert((), any);
        Ok(!any)
    }

    async fn caller(&self, headers: &HeaderMap, from: Option<IpAddr>) -> Result<Caller, Problem> {
        let Some(authorization) = headers.get(header::AUTHORIZATION) else {
            return if self.is_open().await? { Ok(Caller::LOCAL) } else { Err(no_token()) };
        };
        let bearer = Authorization::<Bearer>::decode(&mut std::iter::once(authorization)).ok();
        let presented = bearer.and_then(|bearer| Presented::parse(bearer.token()));
        let known = match &presented {
            Some(presented) => self.look_up(presented.id).await?,
            None => None,
        };
        // Attempts at one token do not lock out another; those at none that exists count together.
        let tried = known.as_ref().map(|known| known.token.id);
        self.failures.check(from, tried)?;
        let reason = match (known, presented) {
            (Some(Known { token, bearer }), Some(presented)) if presented.is(&token) => match bearer {
                Ok(caller) if token.is_valid(self.commands.now()) => return Ok(caller),
                Ok(_) if token.revoked_at.is_some() => "this token has been revoked",
                Ok(_) => "this token has expired",
                Err(reason) => reason,
            },
            _ => "this is not a token of this server's",
        };
        Err(self.failures.count(from, tried, reason))
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
    let caller = app.access.caller(request.headers(), from).await?;
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    caller.must_have(if reads { needs.to_read } else { needs.to_write })?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}
