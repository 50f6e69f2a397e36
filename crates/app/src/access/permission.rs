//! What callers may do, and which role may do what.

use std::{fmt, str::FromStr};

use dealog_domain::Standing;
use dealog_events::user::{Role, Roles};

/// Something that a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Ask for figures, deals, their history and reference data.
    Read,
    /// Read the log and subscribe to it.
    Log,
    /// Work deals; a seller the own ones only.
    Deals,
    /// Register and change customers.
    Customers,
    /// Form and change teams.
    Teams,
    /// Define and change pipelines.
    Pipelines,
    /// Invite users, change their roles, deactivate them.
    Users,
    /// Change the company's settings.
    Settings,
    /// Read how the server is doing.
    Metrics,
    /// Say that something happened longer ago than `backdate_days_max`.
    Backdate,
    /// Change and reopen deals that are won or lost.
    ClosedDeals,
    /// Read the audit log.
    Audit,
}

use Permission::{
    Audit, Backdate, ClosedDeals, Customers, Deals, Log, Metrics, Pipelines, Read, Settings, Teams, Users,
};

impl Permission {
    /// All there are.
    pub const ALL: [Self; 12] =
        [Read, Log, Deals, Customers, Teams, Pipelines, Users, Settings, Metrics, Backdate, ClosedDeals, Audit];

    /// What a person may do by one role.
    fn of_role(role: Role) -> &'static [Self] {
        match role {
            Role::Seller => &[Read, Log, Deals, Customers],
            Role::Manager => &[Read, Log, Deals, Customers, Teams, Backdate, ClosedDeals],
            Role::Analyst => &[Read],
            Role::Auditor => &[Read, Log, Audit],
            Role::Admin => &[Read, Log, Pipelines, Users, Settings, Metrics, Backdate, Audit],
        }
    }

    /// What a person may do who has these roles: all that any of them may.
    pub(super) fn of_roles(roles: &Roles) -> Vec<Self> {
        let may = |permission: &Self| roles.iter().any(|role| Self::of_role(role).contains(permission));
        Self::ALL.into_iter().filter(may).collect()
    }

    /// What rules let a caller do who may do this.
    pub(super) fn standing(permissions: &[Self]) -> Standing {
        Standing {
            backdates: permissions.contains(&Backdate),
            changes_closed_deals: permissions.contains(&ClosedDeals),
            uses_reserve: false,
            ..Standing::FULL
        }
    }

    fn name(self) -> &'static str {
        match self {
            Read => "read",
            Log => "log",
            Deals => "deals",
            Customers => "customers",
            Teams => "teams",
            Pipelines => "pipelines",
            Users => "users",
            Settings => "settings",
            Metrics => "metrics",
            Backdate => "backdate",
            ClosedDeals => "closed_deals",
            Audit => "audit",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Permission {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|permission| permission.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("`{text}` is not a permission; these are: {names}")
        })
    }
}
