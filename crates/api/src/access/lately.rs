//! Who was let in lately: what may be served while the database of the tokens is away.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use dealog_app::Caller;
use moka::sync::Cache;
use tokio::time::timeout;

use crate::problem::Problem;

/// How long the database may take to say who calls, where somebody can be remembered instead.
const ANSWER_TIME: Duration = Duration::from_millis(100);
/// How long a caller is remembered, and so how long a token that is revoked meanwhile still counts where only the way from here
/// to the database is cut.
const REMEMBERED: Duration = Duration::from_mins(10);
/// Callers that are remembered.
const CALLERS_MAX: u64 = 100;

/// Callers by what they sent to be known.
#[derive(Clone)]
pub(super) struct Lately(Cache<Option<HeaderValue>, Caller>);

impl Lately {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(CALLERS_MAX).time_to_live(REMEMBERED).build())
    }

    /// The caller as `asked` finds out, or as it did lately, where the database does not say at once.
    pub(super) async fn or_asked(
        &self,
        headers: &HeaderMap,
        asked: impl Future<Output = Result<Caller, Problem>>,
    ) -> Result<Caller, Problem> {
        let sent = headers.get(header::AUTHORIZATION).cloned();
        let unknown = match timeout(ANSWER_TIME, asked).await {
            Ok(Ok(caller)) => {
                self.0.insert(sent, caller.clone());
                return Ok(caller);
            }
            Ok(Err(problem)) if problem.is_refusal() => {
                self.0.invalidate(&sent);
                return Err(problem);
            }
            Ok(Err(problem)) => problem,
            Err(late) => Problem::away(&late),
        };
        self.0.get(&sent).ok_or(unknown)
    }
}
