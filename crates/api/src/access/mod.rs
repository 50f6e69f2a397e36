//! Access over HTTP: whose request it is, and whether it is let through.
//!
//! Who calls and what they may do is [`dealog_app::Access`]'s; a request names its caller by a bearer token. Until the first token is
//! created, every caller is `local`: the server then listens on loopback only, and refuses what a browser carries from elsewhere.

mod failures;
mod lately;
mod rate;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc, time::Instant};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{Extensions, HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use axum_extra::headers::{Authorization, Header as _, authorization::Bearer};
use dealog_app::{Access, AccessError, BELIEVED, Caller, Permission, Refused};
use dealog_events::Position;
use tracing::Instrument as _;

use self::{failures::Failures, lately::Lately};
use crate::{
    App, Limits,
    audit::{About, Personal},
    connection::Peer,
    fair::{Share, Weight},
    problem::Problem,
};

pub(crate) use failures::network;
pub(crate) use rate::RateLimit;

/// Finds the caller of a request by its bearer token. Cheap to clone.
#[derive(Clone)]
pub struct Bearers {
    pub(crate) access: Access,
    failures: Failures,
    lately: Lately,
}

impl Bearers {
    /// Authenticates with this `access`.
    pub fn new(access: Access, limits: &Limits) -> Self {
        let failures = Failures::new(limits.failed_attempts_max, limits.failed_attempts_window);
        Self { access, failures, lately: Lately::new() }
    }

    async fn caller(&self, headers: &HeaderMap, from: Option<IpAddr>) -> Result<Caller, Problem> {
        let called = match headers.get(header::AUTHORIZATION) {
            None => self.access.without_token().await,
            Some(authorization) => match Authorization::<Bearer>::decode(&mut std::iter::once(authorization)) {
                Ok(bearer) => self.access.with_token(bearer.token()).await,
                Err(_) => Err(Access::made_up().into()),
            },
        };
        called.map_err(|error| match error {
            AccessError::Refused(Refused::BadToken { token, reason }) => self.failures.count(from, token, reason),
            error => error.into(),
        })
    }

    /// Who calls, asked again when a body has arrived: meanwhile a token may have been revoked or a role changed.
    pub(crate) async fn still(&self, headers: &HeaderMap, needed: Needed) -> Result<Caller, Problem> {
        let caller = self.caller(headers, needed.from).await?;
        caller.must_have(needed.permission)?;
        Ok(caller)
    }

    /// Returns when the caller with these headers loses this permission: a stream lasts long after that was checked.
    pub(crate) async fn withdrawn(self, headers: HeaderMap, needed: Permission) {
        loop {
            tokio::time::sleep(BELIEVED).await;
            // As from nowhere: failed attempts of others at the same address are not held against a stream.
            let allowed = self.caller(&headers, None).await.and_then(|caller| Ok(caller.must_have(needed)?));
            if allowed.is_err_and(|problem| problem.is_refusal()) {
                return;
            }
        }
    }
}

/// From where a request comes.
pub(crate) fn address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<Peer>>().map(|ConnectInfo(Peer(address))| *address)
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

impl Needed {
    /// As whom its caller is served by turns.
    pub(crate) fn share(self, caller: &Caller) -> Share {
        Share::of(caller.actor(), self.from)
    }
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
    let asked = app.bearers.caller(request.headers(), from);
    let caller = match needs.to_read {
        // What is measured is wanted most while the database is away.
        Permission::Metrics => app.bearers.lately.or_asked(request.headers(), asked).await,
        _ => asked.await,
    };
    let actor = caller.as_ref().ok().map(Caller::actor);
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
        return in_turn(app, needed.share(&caller), needed, needs.asks_figures(), request, next).await;
    }
    let access = &app.bearers.access;
    access.take_command(&caller)?;
    let mut response = next.run(request).await;
    if let Some(allowance) = access.allowance(&caller) {
        RateLimit::from(allowance).tell(response.headers_mut());
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
        app.bearers.still(request.headers(), needed).await?;
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
