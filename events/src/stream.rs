//! The name of a stream: what it is about, and which one.

use std::{fmt, str::FromStr};

use crate::{CustomerId, DealId, Invalid, PipelineId, TeamId, UserId, text::shorten};

/// What kind of thing a stream is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// `deal-{id}`
    Deal,
    /// `pipeline-{id}`
    Pipeline,
    /// `customer-{id}`
    Customer,
    /// `user-{id}`
    User,
    /// `team-{id}`
    Team,
    /// `settings`, the only one
    Settings,
}

/// The name of a stream: `category-uuid`, or the name of a singleton.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamId {
    /// One deal.
    Deal(DealId),
    /// One pipeline.
    Pipeline(PipelineId),
    /// One customer.
    Customer(CustomerId),
    /// One user.
    User(UserId),
    /// One team.
    Team(TeamId),
    /// What the company has set for itself.
    Settings,
}

impl StreamId {
    /// What kind of thing this stream is about.
    pub fn category(self) -> Category {
        match self {
            Self::Deal(_) => Category::Deal,
            Self::Pipeline(_) => Category::Pipeline,
            Self::Customer(_) => Category::Customer,
            Self::User(_) => Category::User,
            Self::Team(_) => Category::Team,
            Self::Settings => Category::Settings,
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deal(id) => write!(f, "deal-{id}"),
            Self::Pipeline(id) => write!(f, "pipeline-{id}"),
            Self::Customer(id) => write!(f, "customer-{id}"),
            Self::User(id) => write!(f, "user-{id}"),
            Self::Team(id) => write!(f, "team-{id}"),
            Self::Settings => f.write_str("settings"),
        }
    }
}

impl FromStr for StreamId {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.split_once('-') {
            Some(("deal", id)) => id.parse().map(Self::Deal),
            Some(("pipeline", id)) => id.parse().map(Self::Pipeline),
            Some(("customer", id)) => id.parse().map(Self::Customer),
            Some(("user", id)) => id.parse().map(Self::User),
            Some(("team", id)) => id.parse().map(Self::Team),
            None if text == "settings" => Ok(Self::Settings),
            _ => Err(Invalid::new(format!(
                "`{}` is not a stream: expected a category and an id, such as \
                 deal-0192f3a4-5b6c-7d8e-9f00-112233445566, or settings",
                shorten(text)
            ))),
        }
    }
}

string_type!(
    StreamId,
    "StreamId",
    "The name of a stream: category-uuid, or settings.",
    None,
    "deal-0192f3a4-5b6c-7d8e-9f00-112233445566"
);
