//! Questions over HTTP: the parameters that many of them share, and reading what one has written.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use chrono::NaiveDate;
use dealog_events::{Position, Version, When, parse_day};
use dealog_figures::{Range, Seen};
use dealog_projections::models::{Found, ListPage, Lists, Seeing};
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::IntoParams;

use crate::{App, command::etag, problem::Problem};

/// The position that an answer speaks of.
const POSITION: HeaderName = HeaderName::from_static("dealog-position");

/// Read your own writes.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AtLeast {
    /// Wait until the read model has come to this position: the one that a command answered with.
    pub(crate) min_position: Option<u64>,
}

impl AtLeast {
    pub(crate) async fn lists(self, app: &App) -> Result<Lists, Problem> {
        Ok(app.queries.lists(self.min_position.map(Position)).await?)
    }
}

/// All that there is now.
pub(crate) const NOW: Seeing = Seeing { as_of: None, known: None };

/// A page of a list.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// Wait until the read model has come to this position: the one that a command answered with.
    pub(crate) min_position: Option<u64>,
    /// Items of a page, 1 to 500; 50 if absent.
    #[param(minimum = 1, maximum = 500)]
    pub(crate) limit: Option<u32>,
    /// The `next` of the page before.
    pub(crate) after: Option<i64>,
}

impl PageQuery {
    pub(crate) fn page(self, app: &App) -> Result<ListPage, Problem> {
        Ok(ListPage { limit: limit(self.limit, 50, app.limits.page_items_max)?, after: self.after })
    }

    pub(crate) async fn lists(self, app: &App) -> Result<Lists, Problem> {
        AtLeast { min_position: self.min_position }.lists(app).await
    }
}

/// A page size within its bounds.
pub(crate) fn limit(wanted: Option<u32>, default: u32, max: u32) -> Result<u32, Problem> {
    match wanted.unwrap_or(default) {
        limit if (1..=max).contains(&limit) => Ok(limit),
        limit => Err(Problem::unprocessable("limit", "limit", format!("limit is {limit}; expected 1 to {max}"))),
    }
}

/// Declares the parameters of a question about deals: those that choose deals, and its own.
macro_rules! filter_query {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, serde::Deserialize, utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            /// Wait until the read model has come to this position: the one that a command answered with.
            min_position: Option<u64>,
            /// Only this pipeline.
            pipeline: Option<dealog_events::PipelineId>,
            /// Only this owner's deals.
            owner: Option<dealog_events::UserId>,
            /// Only deals of owners in this team.
            team: Option<dealog_events::TeamId>,
            /// Only deals with this customer.
            customer: Option<dealog_events::CustomerId>,
            /// Only deals from this source.
            source: Option<dealog_events::Label>,
            /// Only deals that this campaign brought.
            campaign: Option<dealog_events::CampaignId>,
            /// Only deals created from this instant or local day on.
            #[param(value_type = Option<String>, example = "2026-01-01")]
            created_from: Option<dealog_events::When>,
            /// Only deals created before this instant or local day.
            #[param(value_type = Option<String>, example = "2026-04-01")]
            created_to: Option<dealog_events::When>,
            /// Only deals worth at least this, in the reporting currency.
            #[param(example = "1000.00")]
            amount_from: Option<String>,
            /// Only deals worth at most this, in the reporting currency.
            #[param(example = "50000.00")]
            amount_to: Option<String>,
            /// Only what had been recorded by this position, instant or local day; everything if absent.
            #[param(value_type = Option<String>, example = "120")]
            known_at: Option<$crate::known::KnownAt>,
            $($(#[$field_meta])* $field: $type,)*
        }

        impl $name {
            /// The question, as of now.
            fn listed(&self) -> Result<dealog_app::Listed, Problem> {
                Ok(dealog_app::Listed {
                    min_position: self.min_position.map(dealog_events::Position),
                    as_of: None,
                    known_at: self.known_at.map(|$crate::known::KnownAt(known_at)| known_at),
                    filter: dealog_projections::models::deals::Filter {
                        pipeline: self.pipeline,
                        owner: self.owner,
                        team: self.team,
                        customer: self.customer,
                        source: self.source.clone(),
                        campaign: self.campaign,
                        ..Default::default()
                    },
                    created: $crate::query::range(("created_from", self.created_from), ("created_to", self.created_to))?,
                    amount_from: self.amount_from.clone(),
                    amount_to: self.amount_to.clone(),
                })
            }
        }
    };
}
pub(crate) use filter_query;

/// A local day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DayText(pub(crate) NaiveDate);

impl<'de> Deserialize<'de> for DayText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_day(&text).map(Self).map_err(|_| de::Error::custom(format!("`{text}` is not a day such as 2026-03-01")))
    }
}

/// Declares the parameters of a figure: when, which deals, in which groups, and its own.
macro_rules! figure_query {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, serde::Deserialize, utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            /// Wait until the figures have come to this position: the one that a command answered with.
            min_position: Option<u64>,
            /// The figures as they were at this instant, or at the end of this local day; now if absent.
            #[param(value_type = Option<String>, example = "2026-03-01")]
            as_of: Option<dealog_events::When>,
            /// Only what had been recorded by this position, instant or local day; everything if absent.
            #[param(value_type = Option<String>, example = "120")]
            known_at: Option<$crate::known::KnownAt>,
            /// Only these pipelines, separated by commas.
            #[serde(default)]
            #[param(value_type = Option<String>)]
            pipeline: $crate::values::Values<dealog_events::PipelineId>,
            /// Only deals in these stages, separated by commas: slugs, of whatever pipeline.
            #[serde(default)]
            #[param(value_type = Option<String>, example = "lead,offer")]
            stage: $crate::values::Values<dealog_events::Slug>,
            /// Only deals of these owners, separated by commas; `none` for deals of nobody.
            #[serde(default)]
            #[param(value_type = Option<String>)]
            owner: $crate::values::Values<$crate::values::OwnerOrNone>,
            /// Only deals of owners in one of these teams, separated by commas.
            #[serde(default)]
            #[param(value_type = Option<String>)]
            team: $crate::values::Values<dealog_events::TeamId>,
            /// Only deals with these customers, separated by commas.
            #[serde(default)]
            #[param(value_type = Option<String>)]
            customer: $crate::values::Values<dealog_events::CustomerId>,
            /// Only deals from these sources, separated by commas.
            #[serde(default)]
            #[param(value_type = Option<String>, example = "Web,Trade fair")]
            source: $crate::values::Values<dealog_events::Label>,
            /// Only deals that these campaigns brought, separated by commas.
            #[serde(default)]
            #[param(value_type = Option<String>)]
            campaign: $crate::values::Values<dealog_events::CampaignId>,
            /// Only deals lost for these reasons, separated by commas.
            #[serde(default)]
            #[param(value_type = Option<String>, example = "price")]
            loss_reason: $crate::values::Values<dealog_events::Slug>,
            /// Only deals lost to these competitors, separated by commas.
            #[serde(default)]
            #[param(value_type = Option<String>)]
            competitor: $crate::values::Values<dealog_events::Label>,
            /// Only deals created from this instant or local day on.
            #[param(value_type = Option<String>, example = "2026-01-01")]
            created_from: Option<dealog_events::When>,
            /// Only deals created before this instant or local day.
            #[param(value_type = Option<String>, example = "2026-04-01")]
            created_to: Option<dealog_events::When>,
            /// Only deals closed from this instant or local day on.
            #[param(value_type = Option<String>, example = "2026-01-01")]
            closed_from: Option<dealog_events::When>,
            /// Only deals closed before this instant or local day.
            #[param(value_type = Option<String>, example = "2026-04-01")]
            closed_to: Option<dealog_events::When>,
            /// Only deals expected to close on this day or later.
            #[param(value_type = Option<String>, example = "2026-01-01")]
            expected_from: Option<$crate::query::DayText>,
            /// Only deals expected to close before this day.
            #[param(value_type = Option<String>, example = "2026-04-01")]
            expected_to: Option<$crate::query::DayText>,
            /// Only deals worth at least this, in the reporting currency.
            #[param(example = "1000.00")]
            amount_from: Option<String>,
            /// Only deals worth at most this, in the reporting currency.
            #[param(example = "50000.00")]
            amount_to: Option<String>,
            /// Only deals that have been in their stage for longer than it allows; with `false`, only the others.
            stale: Option<bool>,
            /// Only open deals whose expected close has passed; with `false`, only the others.
            overdue: Option<bool>,
            $($(#[$field_meta])* $field: $type,)*
        }

        impl $name {
            /// The question, but for its groups.
            fn asked(&self, fields: Vec<dealog_figures::FieldFilter>) -> Result<dealog_app::Asked, Problem> {
                let dates = |from: Option<$crate::query::DayText>, to: Option<$crate::query::DayText>| {
                    let day = |day: Option<$crate::query::DayText>| day.map(|$crate::query::DayText(day)| day);
                    dealog_figures::Range { from: day(from), to: day(to) }
                };
                Ok(dealog_app::Asked {
                    min_position: self.min_position.map(dealog_events::Position),
                    as_of: self.as_of,
                    known_at: self.known_at.map(|$crate::known::KnownAt(known_at)| known_at),
                    filter: dealog_figures::Filter {
                        pipelines: self.pipeline.0.clone(),
                        stages: self.stage.0.clone(),
                        owners: self.owner.0.iter().map(|owner| owner.0).collect(),
                        teams: self.team.0.clone(),
                        customers: self.customer.0.clone(),
                        sources: self.source.0.clone(),
                        campaigns: self.campaign.0.clone(),
                        loss_reasons: self.loss_reason.0.clone(),
                        competitors: self.competitor.0.clone(),
                        fields,
                        created: $crate::query::range(("created_from", self.created_from), ("created_to", self.created_to))?,
                        closed: $crate::query::range(("closed_from", self.closed_from), ("closed_to", self.closed_to))?,
                        expected: dates(self.expected_from, self.expected_to),
                        amount: dealog_figures::AmountRange::default(),
                        stale: self.stale,
                        overdue: self.overdue,
                    },
                    amount_from: self.amount_from.clone(),
                    amount_to: self.amount_to.clone(),
                    grouping: dealog_figures::Grouping::default(),
                })
            }
        }
    };
}
pub(crate) use figure_query;

/// A period from two optional ends, each with the parameter's name.
pub(crate) fn range(
    (from_name, from): (&str, Option<When>),
    (to_name, to): (&str, Option<When>),
) -> Result<Range, Problem> {
    let range = Range { from, to };
    // A day and an instant can be compared only where the time zone is known, which the query itself sees to.
    let empty = match (range.from, range.to) {
        (Some(When::Day(from)), Some(When::Day(to))) => from >= to,
        (Some(When::Instant(from)), Some(When::Instant(to))) => from >= to,
        _ => false,
    };
    if empty {
        let detail = format!("the period must end after it begins: {to_name} is not after {from_name}");
        return Err(Problem::unprocessable("query", to_name, detail));
    }
    Ok(range)
}

/// A figure, which speaks of a position.
pub(crate) fn figure<T: Serialize + AsRef<Seen>>(answer: &T) -> Response {
    seen(answer.as_ref().position, answer)
}

/// An answer that speaks of a position.
pub(crate) fn seen<T: Serialize>(position: Position, body: &T) -> Response {
    let mut response = Json(body).into_response();
    response.headers_mut().extend(HeaderValue::try_from(position.to_string()).map(|value| (POSITION, value)));
    response
}

/// One thing with its `ETag`, or that there is none.
pub(crate) fn one<T: Serialize>(
    found: Found<T>,
    version: impl FnOnce(&T) -> Version,
    what: impl std::fmt::Display,
) -> Result<Response, Problem> {
    let item = found.item.ok_or_else(|| Problem::not_found(what))?;
    let mut response = seen(found.position, &item);
    response.headers_mut().extend(etag(version(&item)).map(|etag| (header::ETAG, etag)));
    Ok(response)
}
