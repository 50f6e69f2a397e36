//! Ids of the things that streams are about.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::Invalid;

/// A UUID in the hyphenated form only: an id has one spelling, so ids can be compared as text anywhere.
pub(crate) fn hyphenated(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $schema_name:literal, $what:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                hyphenated(text).map(Self).ok_or_else(|| {
                    Invalid::new(format!(
                        "`{}` is not the id of a {}: expected a UUID such as 0192f3a4-5b6c-7d8e-9f00-112233445566",
                        crate::text::shorten(text),
                        $what
                    ))
                })
            }
        }

        string_type!(
            $name,
            $schema_name,
            "A UUID, hyphenated.",
            Some("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"),
            "0192f3a4-5b6c-7d8e-9f00-112233445566"
        );
    };
}

id!(/// A deal.
    DealId, "DealId", "deal");
id!(/// A pipeline: an ordered set of stages.
    PipelineId, "PipelineId", "pipeline");
id!(/// A customer.
    CustomerId, "CustomerId", "customer");
id!(/// A person who works with Dealog.
    UserId, "UserId", "user");
id!(/// A team of users.
    TeamId, "TeamId", "team");
id!(/// A marketing campaign.
    CampaignId, "CampaignId", "campaign");
