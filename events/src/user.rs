//! What can happen to a user.

use std::{collections::BTreeSet, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Email, Invalid, Personal, Title, text::shorten};

events!(
    /// An event of a user's stream.
    UserEvent {
        Invited = "user.invited" v 1,
        Renamed = "user.renamed" v 1,
        RolesChanged = "user.roles_changed" v 1,
        Deactivated = "user.deactivated" v 1,
        Reactivated = "user.reactivated" v 1,
    }
);

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
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

/// What a person is in the company, at least one thing: a small company's owner sells, manages and administers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "Vec<Role>")]
#[schemars(extend("minItems" = 1))]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// Whether this is one of them.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// All of them, each once, always in the same order.
    pub fn iter(&self) -> impl Iterator<Item = Role> {
        self.0.iter().copied()
    }
}

impl From<Role> for Roles {
    fn from(role: Role) -> Self {
        Self(BTreeSet::from([role]))
    }
}

impl TryFrom<Vec<Role>> for Roles {
    type Error = Invalid;
    fn try_from(roles: Vec<Role>) -> Result<Self, Invalid> {
        if roles.is_empty() {
            return Err(Invalid::new("a user has at least one role: seller, manager, analyst, auditor or admin"));
        }
        Ok(Self(roles.into_iter().collect()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seller => "seller",
            Self::Manager => "manager",
            Self::Analyst => "analyst",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        })
    }
}

impl FromStr for Role {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let all = [Self::Seller, Self::Manager, Self::Analyst, Self::Auditor, Self::Admin];
        all.into_iter().find(|role| role.to_string() == text).ok_or_else(|| {
            let found = shorten(text);
            Invalid::new(format!("`{found}` is not a role; these are: seller, manager, analyst, auditor, admin"))
        })
    }
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
    pub roles: Roles,
}

/// A user is called something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Renamed {
    /// Before.
    pub from: Personal<Title>,
    /// After.
    pub to: Personal<Title>,
}

/// A user may do something else now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolesChanged {
    /// Before.
    pub from: Roles,
    /// After.
    pub to: Roles,
}

/// A user may do nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deactivated {}

/// A deactivated user may do again what their roles say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reactivated {}
