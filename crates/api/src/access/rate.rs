//! What is left to a caller, in the headers that the IETF's draft "`RateLimit` header fields for HTTP" has for it.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use dealog_app::Allowance;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// What a caller may still ask for.
#[derive(Debug, Clone)]
pub(crate) struct RateLimit {
    /// What is limited.
    pub(crate) policy: &'static str,
    /// How much of it there may be.
    pub(crate) quota: u32,
    /// What is counted, where that is not requests.
    pub(crate) unit: Option<&'static str>,
    /// In how many seconds an empty bucket is full again.
    pub(crate) window_seconds: Option<u64>,
    /// How much is left.
    pub(crate) remaining: u32,
    /// In how many seconds all of it is there again.
    pub(crate) reset_seconds: u64,
}

impl RateLimit {
    /// Tells it.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let Self { policy, quota, remaining, reset_seconds, .. } = self;
        let window = self.window_seconds.map(|seconds| format!(";w={seconds}")).unwrap_or_default();
        let unit = self.unit.map(|unit| format!(";qu=\"{unit}\"")).unwrap_or_default();
        let told = [
            (POLICY, format!("\"{policy}\";q={quota}{unit}{window}")),
            (STATE, format!("\"{policy}\";r={remaining};t={reset_seconds}")),
        ];
        headers.extend(told.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?))));
    }
}

impl From<Allowance> for RateLimit {
    fn from(allowance: Allowance) -> Self {
        Self {
            policy: "commands",
            quota: allowance.burst,
            unit: None,
            window_seconds: Some(allowance.fills_in.as_secs().max(1)),
            remaining: allowance.remaining,
            reset_seconds: u64::try_from(allowance.full_in.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_headers_say_what_is_left() {
        let [fills_in, full_in] = [3_000, 900].map(Duration::from_millis);
        let mut headers = HeaderMap::new();
        RateLimit::from(Allowance { burst: 3, fills_in, remaining: 2, full_in }).tell(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"commands\";q=3;w=3");
        assert_eq!(headers["ratelimit"], "\"commands\";r=2;t=1");
    }
}
