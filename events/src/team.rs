//! What can happen to a team.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Title, UserId};

events!(
    /// An event of a team's stream.
    TeamEvent {
        Formed = "team.formed" v 1,
        Renamed = "team.renamed" v 1,
        MemberAdded = "team.member_added" v 1,
        MemberRemoved = "team.member_removed" v 1,
    }
);

/// A team was set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Formed {
    /// What it is called.
    pub name: Title,
}

/// A team is called something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Renamed {
    /// Before.
    pub from: Title,
    /// After.
    pub to: Title,
}

/// A user joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberAdded {
    /// Who.
    pub user: UserId,
}

/// A user left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberRemoved {
    /// Who.
    pub user: UserId,
}
