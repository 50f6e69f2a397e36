//! Access: who calls, and what they may do.
//!
//! Callers are people and services, each with a bearer token. A person's role comes from the log, so that a change of role
//! or a deactivation holds for tokens given out long before; a service may do what its token lists. Until the first token is
//! created, every caller is `local`: the server then listens on loopback only, and refuses what a browser carries from
//! elsewhere.

mod failures;
mod lately;
mod mark;
mod permission;
mod rate;
#[cfg(test)]
mod tests;
mod token;

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{Extensions, HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use axum_extra::headers::{Authorization, Header as _, authorization::Bearer};
use dealog_commands::Commands;
use dealog_domain::{Standing, State as StreamState};
use dealog_events::{Actor, Position, StreamId, UserId, user::Role};
use dealog_store::{StoreError, Token, TokenStore};
use moka::sync::Cache;
use tracing::Instrument as _;
use uuid::Uuid;

use self::{
    failures::Failures,
    lately::Lately,
    rate::{Rate, Rates},
    token::Presented,
};
use crate::{
    App, Limits,
    audit::{About, Personal},
    connection::Peer,
    fair::{Share, Weight},
    problem::Problem,
};

pub(crate) use failures::network;
pub use mark::Mark;
pub use permission::Permission;
pub(crate) use rate::RateLimit;
pub use token::{Key, Secret, service};

/// How long what is known of a token is believed: a revocation takes no longer than this to be felt.
const BELIEVED: Duration = Duration::from_secs(1);
/// Tokens that are kept in mind.
const KNOWN_MAX: u64 = 10_000;

/// The answer to a made-up token, and to one that a restored backup does not have.
const NOT_OURS: &str = "this is not a token of this server's";

/// Who calls.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// By whom events will have been caused.
    pub(crate) actor: Actor,
    /// What they may do; none where they may do everything.
    permissions: Option<Arc<[Permission]>>,
    /// What rules let them do.
    pub(crate) standing: Standing,
    /// How fast they may send commands; none where that is not limited.
    rate: Option<Rate>,
    /// As whom they are served by turns.
    pub(crate) share: Share,
}

impl Caller {
    fn local(from: Option<IpAddr>) -> Self {
        let share = Share::Address(from.map(network));
        Self { actor: Actor::Local, permissions: None, standing: Standing::FULL, rate: None, share }
    }

    fn of_role(user: UserId, role: Role, limits: &Limits) -> Self {
        let permissions = Permission::of_role(role);
        let standing = Standing {
            own_deals_of: (role == Role::Seller).then_some(user),
            own_role_of: Some(user),
            uses_reserve: matches!(role, Role::Manager | Role::Admin),
            ..Permission::standing(permissions)
        };
        let rate = Some(Rate::of(Some(role), limits));
        let actor = Actor::User(user);
        Self { actor, permissions: Some(permissions.into()), standing, rate, share: Share::Actor(actor) }
    }

    fn of_service(actor: Actor, permissions: Vec<Permission>, limits: &Limits) -> Self {
        let standing = Permission::standing(&permissions);
        let rate = Some(Rate::of(None, limits));
        Self { actor, permissions: Some(permissions.into()), standing, rate, share: Share::Actor(actor) }
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
    rates: Rates,
    limits: Limits,
    /// Whether a token is asked for though there has never been one.
    required: bool,
    /// What says so where the database does not any more.
    mark: Option<Mark>,
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
            rates: Rates::new(),
            limits: *limits,
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
    pub(crate) async fn is_open(&self) -> Result<bool, Problem> {
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
        if has_tokens || marked().map_err(|error| Problem::internal(&error))? {
            self.closed.store(true, Ordering::Relaxed);
            return Ok(false);
        }
        self.open.insert((), ());
        Ok(true)
    }

    async fn caller(&self, headers: &HeaderMap, from: Option<IpAddr>) -> Result<Caller, Problem> {
        let Some(authorization) = headers.get(header::AUTHORIZATION) else {
            return if self.is_open().await? { Ok(Caller::local(from)) } else { Err(no_token()) };
        };
        let bearer = Authorization::<Bearer>::decode(&mut std::iter::once(authorization)).ok();
        let Some(presented) = bearer.and_then(|bearer| Presented::parse(bearer.token(), &self.key)) else {
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

    /// Who calls, asked again when a body has arrived: meanwhile a token may have been revoked or a role changed.
    pub(crate) async fn still(&self, headers: &HeaderMap, needed: Needed) -> Result<Caller, Problem> {
        let caller = self.caller(headers, needed.from).await?;
        caller.must_have(needed.permission)?;
        Ok(caller)
    }

    /// Whether nobody but this user could act as an admin: no other active one has a token that is worth something. What is
    /// found may be out of date a moment later, which does no harm: only this admin could have made another one.
    pub(crate) async fn is_only_admin(&self, user: UserId) -> Result<bool, Problem> {
        let now = self.commands.now();
        let tokens = self.tokens.tokens().await?;
        let actors: HashSet<Actor> =
            tokens.iter().filter(|token| token.is_valid(now)).map(|token| token.actor).collect();
        for actor in actors {
            if let Actor::User(other) = actor
                && other != user
                && let StreamState::User(Some(state)) = &*self.commands.state(StreamId::User(other)).await?
                && state.active
                && state.role == Role::Admin
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes a command from what the caller may send.
    fn take_command(&self, caller: &Caller) -> Result<(), Problem> {
        caller.rate.map_or(Ok(()), |rate| self.rates.take(caller.actor, rate))
    }

    /// Takes what a command appended beyond the one event that it was taken for.
    pub(crate) fn charge(&self, caller: &Caller, events: u32) {
        if let (Some(rate), more @ 1..) = (caller.rate, events.saturating_sub(1)) {
            self.rates.charge(caller.actor, rate, more);
        }
    }

    /// Returns when the caller with these headers loses this permission: a stream lasts long after that was checked.
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
            return Ok(Ok(Caller::of_service(token.actor, permissions, &self.limits)));
        };
        Ok(match &*self.commands.state(StreamId::User(user)).await? {
            StreamState::User(Some(state)) if state.active => Ok(Caller::of_role(user, state.role, &self.limits)),
            _ => Err("the user of this token may do nothing any more"),
        })
    }
}

/// From where a request comes.
pub(crate) fn address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<Peer>>().map(|ConnectInfo(Peer(address))| *address)
}

fn no_token() -> Problem {
    let detail = "send a token as `Authorization: Bearer dealog_...`; `dealog token create` makes one";
    Problem::new(StatusCode::UNAUTHORIZED, "no_token", detail).field("Authorization")
}

/// What requests to a resource take, and what its answers may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    pub(crate) to_read: Permission,
    pub(crate) to_write: Permission,
    pub(crate) personal: Personal,
}

impl Needs {
    /// Whether figures answer, and not the read models: then a query waits for those to come to its `min_position`.
    fn asks_figures(self) -> bool {
        self.personal == Personal::OfFigures
    }
}

/// What a request takes, and from where it came: asked again once a body has arrived, which may take a while.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needed {
    permission: Permission,
    from: Option<IpAddr>,
}

/// Lets a request through whose caller may make it, and tells the handler who that is. What is refused, and what is told about
/// people, is in the audit log before the answer is on its way.
pub(crate) async fn guard(
    State((app, needs)): State<(Arc<App>, Needs)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let from = address(request.extensions());
    let about = Arc::new(About::of(&request, from));
    request.extensions_mut().insert(Arc::clone(&about));
    let read = needs.personal.read(&mut request).await;
    let asked = app.access.caller(request.headers(), from);
    let caller = match needs.to_read {
        // What is measured is wanted most while the database is away.
        Permission::Metrics => app.access.lately.or_asked(request.headers(), asked).await,
        _ => asked.await,
    };
    let actor = caller.as_ref().ok().map(|caller| caller.actor);
    let response = match caller {
        Ok(caller) => admitted(&app, needs, from, caller, request, next).await,
        Err(problem) => Err(problem),
    };
    let response = response.into_response();
    app.audit.answered(&about, app.now(), actor, read, response.status()).await?;
    Ok(response)
}

async fn admitted(
    app: &App,
    needs: Needs,
    from: Option<IpAddr>,
    caller: Caller,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let permission = if reads { needs.to_read } else { needs.to_write };
    caller.must_have(permission)?;
    let needed = Needed { permission, from };
    request.extensions_mut().insert(needed);
    request.extensions_mut().insert(caller.clone());
    if reads {
        return in_turn(app, caller.share, needed, needs.asks_figures(), request, next).await;
    }
    app.access.take_command(&caller)?;
    let mut response = next.run(request).await;
    if let Some(rate) = caller.rate {
        app.access.rates.state(caller.actor, rate).tell(response.headers_mut());
    }
    Ok(response)
}

/// Answers a query when it is its caller's turn.
async fn in_turn(
    app: &App,
    share: Share,
    needed: Needed,
    of_figures: bool,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let params: Vec<(String, String)> =
        serde_urlencoded::from_str(request.uri().query().unwrap_or_default()).unwrap_or_default();
    let Some(weight) = Weight::of(&request) else { return Ok(next.run(request).await) };
    let asked = Instant::now();
    // A query that waits for a position takes no place meanwhile. The handler finds the position reached.
    let position = params.iter().find(|(name, _)| name == "min_position").and_then(|(_, value)| value.parse().ok());
    let position = position.map(Position);
    if of_figures {
        if !app.queries.has_come_to(position) {
            let _waiting = app.turns.wait_for_position(share)?;
            app.queries.wait_for(position).await?;
        }
    } else if let Some(position) = position.filter(|position| !app.queries.lists_have_come_to(*position)) {
        let _waiting = app.turns.wait_for_position(share)?;
        app.queries.lists(Some(position)).await?;
    }
    let place = app.turns.take(share, weight).await?;
    // After a long wait, the token may have been revoked.
    if asked.elapsed() > BELIEVED {
        app.access.still(request.headers(), needed).await?;
    }
    // A database goes on with a query whose caller has hung up, so the place is taken until it is done; and as long as the answer is
    // in memory and not counted yet.
    let budget = app.budget.clone();
    let answered = async move {
        let response = next.run(request).await;
        let response = budget.hold(share, response).await;
        drop(place);
        response
    };
    let answered = tokio::spawn(answered.in_current_span()).await;
    answered.unwrap_or_else(|error| Err(Problem::internal(&error)))
}
