//! What can happen to a user.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Email, Personal, Title};

events!(
    /// An event of a user's stream.
    UserEvent {
        Invited = "user.invited" v 1,
        RoleChanged = "user.role_changed" v 1,
        Deactivated = "user.deactivated" v 1,
    }
);

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Works own deals, reads all.
    Seller,
    /// Works all deals, teams and quotas.
    Manager,
    /// Queries.
    Analyst,
    /// Queries, log and evidence.
    Auditor,
    /// Settings, users and tokens.
    Admin,
}

/// A user was let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Invited {
    /// What the person is called.
    pub name: Personal<Title>,
    /// Where mail reaches the person, where that is known.
    pub email: Option<Personal<Email>>,
    /// What the person may do.
    pub role: Role,
}

/// A user may do something else now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleChanged {
    /// Before.
    pub from: Role,
    /// After.
    pub to: Role,
}

/// A user may do nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deactivated {}
