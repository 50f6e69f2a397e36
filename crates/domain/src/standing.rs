//! Where the caller of a command stands: what rules let some callers do and others not.

use dealog_events::UserId;

/// What a caller may do where not everybody may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The user whose deals alone the caller may work, a seller, to whom a new deal without an owner belongs; none where the
    /// caller may work all.
    pub own_deals_of: Option<UserId>,
    /// The user whose role and access the caller may not change: the caller's own, as long as somebody else could.
    pub own_role_of: Option<UserId>,
    /// Whether the caller may say that something happened longer ago than the company lets everybody.
    pub backdates: bool,
    /// Whether the caller may change and reopen deals that are won or lost.
    pub changes_closed_deals: bool,
    /// Whether the caller may append to a stream that is nearly full.
    pub uses_reserve: bool,
}

impl Standing {
    /// Of a caller who may do everything, such as an import.
    pub const FULL: Self =
        Self { own_deals_of: None, own_role_of: None, backdates: true, changes_closed_deals: true, uses_reserve: true };
}
