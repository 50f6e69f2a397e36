//! Deals and reference data as they are now, one or many. Lists are in order of creation, the newest first, in pages.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use dealog_events::{
    CampaignId, Currency, CustomerId, DealId, Fields, Money, PipelineId, Position, Probability, Slug, TeamId, TimeZone,
    Timestamp, UserId, Version,
    pipeline::{ForecastCategory, Stage},
    settings::{FieldDefinition, LossReason},
    user::Role,
};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, any::AnyRow};
use utoipa::ToSchema;

use super::{
    Filter, Views,
    snapshot::{Snapshot, damaged},
    sql::Sql,
};
use crate::{
    ProjectionError,
    deals::tables::{
        CustomerRow, DealRow, FOREVER, MemberRow, PipelineRow, SINCE_EVER, SettingsRow, SpanRow, StageRow, TeamRow,
        UserRow, status,
    },
    table::{Row, columns},
};

/// Whether a deal is open, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DealStatus {
    /// Neither won nor lost.
    Open,
    /// Sold.
    Won,
    /// Not sold.
    Lost,
}

/// A deal as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Deal)]
pub struct Deal {
    /// Its id.
    pub id: DealId,
    /// The version of its stream: its `ETag`.
    pub version: Version,
    /// The position of its last event.
    pub position: Position,
    /// What is sold, in a line.
    pub title: String,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// The stage it is in, or was closed from.
    pub stage: Slug,
    /// Whether it is open, or how it ended.
    pub status: DealStatus,
    /// To whom.
    pub customer: Option<CustomerId>,
    /// Who is responsible.
    pub owner: Option<UserId>,
    /// For how much.
    pub amount: Option<Money>,
    /// By when, a local day.
    pub expected_close: Option<NaiveDate>,
    /// The chance set by hand; without one its stage's counts.
    pub probability: Option<Probability>,
    /// The forecast category set by hand; without one its stage's counts.
    pub forecast_category: Option<ForecastCategory>,
    /// Where it came from.
    pub source: Option<String>,
    /// The campaign that brought it.
    pub campaign: Option<CampaignId>,
    /// The company's own fields.
    #[schema(value_type = Object)]
    pub fields: Fields,
    /// Won: the contract.
    pub contract: Option<String>,
    /// Lost: the reason.
    pub loss_reason: Option<Slug>,
    /// Lost: whether it counts in figures.
    pub loss_counted: Option<bool>,
    /// Lost: who won it instead.
    pub competitor: Option<String>,
    /// Lost: the deal it repeats.
    pub duplicate_of: Option<DealId>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its last event occurred.
    pub updated_at: Timestamp,
    /// When it entered its stage.
    pub entered_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

/// A page of deals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DealList {
    /// The position that the list speaks of.
    pub position: Position,
    /// The deals, newest first.
    pub deals: Vec<Deal>,
    /// What to send as `after` for the next page; null on the last.
    pub next: Option<i64>,
}

/// Which deals to list.
#[derive(Debug, Clone, Default)]
pub struct DealQuery {
    /// By what they are now.
    pub filter: Filter,
    /// Only these.
    pub status: Option<DealStatus>,
    /// Only in this stage.
    pub stage: Option<Slug>,
    /// Which page.
    pub page: ListPage,
}

/// Which part of a list.
#[derive(Debug, Clone, Copy)]
pub struct ListPage {
    /// At most so many.
    pub limit: u32,
    /// Behind the one that this `next` named.
    pub after: Option<i64>,
}

impl Default for ListPage {
    fn default() -> Self {
        Self { limit: 50, after: None }
    }
}

/// A pipeline as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Pipeline)]
pub struct Pipeline {
    /// Its id.
    pub id: PipelineId,
    /// The version of its stream: its `ETag`.
    pub version: Version,
    /// What it is called.
    pub name: String,
    /// Whether deals may skip stages on their way forward.
    pub skipping_allowed: bool,
    /// Whether it takes no more deals.
    pub archived: bool,
    /// Its stages in order.
    pub stages: Vec<PipelineStage>,
}

/// A stage of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PipelineStage {
    /// What it is.
    #[serde(flatten)]
    pub stage: Stage,
    /// Whether nothing enters it any more.
    pub retired: bool,
}

/// A customer as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Customer)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// The version of its stream: its `ETag`.
    pub version: Version,
    /// What it is.
    pub kind: String,
    /// What it is called.
    pub name: String,
    /// The trade it is in.
    pub sector: Option<String>,
    /// The company's own fields.
    #[schema(value_type = Object)]
    pub fields: Fields,
}

/// A user as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = User)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// The version of their stream: its `ETag`.
    pub version: Version,
    /// What they are called.
    pub name: String,
    /// Where mail reaches them.
    pub email: Option<String>,
    /// What they may do.
    pub role: Role,
    /// Whether they may do anything.
    pub active: bool,
}

/// A team as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Team)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// The version of its stream: its `ETag`.
    pub version: Version,
    /// What it is called.
    pub name: String,
    /// Who is in it.
    pub members: Vec<UserId>,
}

/// The settings as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Settings)]
pub struct Settings {
    /// The version of their stream: its `ETag`.
    pub version: Version,
    /// The currency of all figures.
    pub reporting_currency: Option<Currency>,
    /// Where days begin and end.
    pub time_zone: TimeZone,
    /// Why deals are lost.
    pub loss_reasons: Vec<LossReason>,
    /// The company's own fields.
    pub fields: Vec<FieldDefinition>,
}

/// A page of something that has a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Named<T> {
    /// The position that the list speaks of.
    pub position: Position,
    /// The items, newest first.
    pub items: Vec<T>,
    /// What to send as `after` for the next page; null on the last.
    pub next: Option<i64>,
}

/// One thing, if there is such a one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// The position that the answer speaks of.
    pub position: Position,
    /// The thing.
    pub item: Option<T>,
}

/// A live row, and the position at which the thing began: the place that it keeps in lists.
struct Aged<R> {
    row: R,
    created: i64,
}

impl<'r, R: FromRow<'r, AnyRow>> FromRow<'r, AnyRow> for Aged<R> {
    fn from_row(row: &'r AnyRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row as _;
        Ok(Self { row: R::from_row(row)?, created: row.try_get("created")? })
    }
}

/// A deal's two rows, joined.
struct DealAndSpan(DealRow, SpanRow);

impl<'r> FromRow<'r, AnyRow> for DealAndSpan {
    fn from_row(row: &'r AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self(DealRow::from_row(row)?, SpanRow::from_row(row)?))
    }
}

impl Views {
    /// A deal as it is now; none if there is none.
    pub async fn deal(&self, id: DealId, now: Timestamp) -> Result<Found<Deal>, ProjectionError> {
        let mut snapshot = self.snapshot_now(now).await?;
        let mut sql = select_deals();
        sql.push(" WHERE r.deal = ").text(id.to_string());
        let rows: Vec<DealAndSpan> = sql.fetch_all(&mut snapshot.db).await?;
        let item = rows.into_iter().next().map(deal).transpose()?;
        Ok(Found { position: snapshot.position, item })
    }

    /// A page of deals as they are now.
    pub async fn deals(&self, query: &DealQuery, now: Timestamp) -> Result<DealList, ProjectionError> {
        let mut snapshot = self.snapshot_now(now).await?;
        let mut sql = select_deals();
        sql.push(" WHERE r.created_position < ").integer(query.page.after.unwrap_or(i64::MAX));
        query.filter.push_present(&mut sql, "s", snapshot.at, snapshot.zone);
        if let Some(stage) = &query.stage {
            sql.push(" AND s.stage = ").text(stage.to_string());
        }
        match query.status {
            Some(DealStatus::Open) => drop(sql.push(" AND s.status = ").text(status::OPEN)),
            Some(DealStatus::Won) => drop(sql.push(" AND s.status = ").text(status::WON)),
            Some(DealStatus::Lost) => {
                sql.push(" AND s.status IN (").text(status::LOST).push(", ").text(status::EXCLUDED).push(")");
            }
            None => {}
        }
        sql.push(" ORDER BY r.created_position DESC LIMIT ").integer(i64::from(query.page.limit) + 1);
        let rows: Vec<DealAndSpan> = sql.fetch_all(&mut snapshot.db).await?;
        let (rows, next) = page(rows, query.page.limit, |row| row.0.created_position);
        let deals = rows.into_iter().map(deal).collect::<Result<_, _>>()?;
        Ok(DealList { position: snapshot.position, deals, next })
    }

    /// All pipelines as they are now, oldest first.
    pub async fn pipelines(&self, now: Timestamp) -> Result<Named<Pipeline>, ProjectionError> {
        let mut snapshot = self.snapshot_now(now).await?;
        let all = ListPage { limit: u32::MAX, after: None };
        let rows: Vec<Aged<PipelineRow>> = snapshot.live("pipeline", all).await?;
        let mut items = Vec::with_capacity(rows.len());
        for Aged { row, .. } in rows.into_iter().rev() {
            let mut sql = Sql::default();
            sql.push(&format!("SELECT {} FROM stages WHERE definition = ", columns::<StageRow>()));
            sql.integer(row.position).push(" ORDER BY ordinal");
            items.push(pipeline(row, sql.fetch_all(&mut snapshot.db).await?)?);
        }
        Ok(Named { position: snapshot.position, items, next: None })
    }

    /// A page of customers as they are now.
    pub async fn customers(&self, page: ListPage, now: Timestamp) -> Result<Named<Customer>, ProjectionError> {
        self.named::<CustomerRow, _>("customer", page, now, customer).await
    }

    /// A customer as it is now.
    pub async fn customer(&self, id: CustomerId, now: Timestamp) -> Result<Found<Customer>, ProjectionError> {
        self.one::<CustomerRow, _>("customer", id.to_string(), now, customer).await
    }

    /// A page of users as they are now.
    pub async fn users(&self, page: ListPage, now: Timestamp) -> Result<Named<User>, ProjectionError> {
        self.named::<UserRow, _>("user_id", page, now, user).await
    }

    /// A user as they are now.
    pub async fn user(&self, id: UserId, now: Timestamp) -> Result<Found<User>, ProjectionError> {
        self.one::<UserRow, _>("user_id", id.to_string(), now, user).await
    }

    /// A page of teams as they are now.
    pub async fn teams(&self, page: ListPage, now: Timestamp) -> Result<Named<Team>, ProjectionError> {
        let mut snapshot = self.snapshot_now(now).await?;
        let rows: Vec<Aged<TeamRow>> = snapshot.live("team", page).await?;
        let (rows, next) = self::page(rows, page.limit, |row| row.created);
        let mut sql = Sql::default();
        sql.push(&format!("SELECT {} FROM members WHERE valid_to = ", columns::<MemberRow>()));
        sql.integer(FOREVER).push(" ORDER BY position");
        let mut members: BTreeMap<String, Vec<UserId>> = BTreeMap::new();
        for member in sql.fetch_all::<MemberRow>(&mut snapshot.db).await? {
            members.entry(member.team).or_default().push(parse(&member.user_id)?);
        }
        let mut items = Vec::with_capacity(rows.len());
        for Aged { row, .. } in rows {
            let members = members.remove(&row.team).unwrap_or_default();
            items.push(Team { id: parse(&row.team)?, version: version(row.version), name: row.name, members });
        }
        Ok(Named { position: snapshot.position, items, next })
    }

    /// The settings as they are now.
    pub async fn settings(&self, now: Timestamp) -> Result<Found<Settings>, ProjectionError> {
        let mut found = self.one::<SettingsRow, _>("stream", "settings".into(), now, settings).await?;
        found.item = found.item.or(Some(Settings {
            version: Version::ZERO,
            reporting_currency: None,
            time_zone: TimeZone::UTC,
            loss_reasons: Vec::new(),
            fields: Vec::new(),
        }));
        Ok(found)
    }

    async fn named<R, T>(
        &self,
        column: &str,
        page: ListPage,
        now: Timestamp,
        read: fn(R) -> Result<T, ProjectionError>,
    ) -> Result<Named<T>, ProjectionError>
    where
        R: Row + for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let mut snapshot = self.snapshot_now(now).await?;
        let rows: Vec<Aged<R>> = snapshot.live(column, page).await?;
        let (rows, next) = self::page(rows, page.limit, |row| row.created);
        let items = rows.into_iter().map(|Aged { row, .. }| read(row)).collect::<Result<_, _>>()?;
        Ok(Named { position: snapshot.position, items, next })
    }

    async fn one<R, T>(
        &self,
        column: &str,
        id: String,
        now: Timestamp,
        read: fn(R) -> Result<T, ProjectionError>,
    ) -> Result<Found<T>, ProjectionError>
    where
        R: Row + for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let mut snapshot = self.snapshot_now(now).await?;
        let mut sql = Sql::default();
        sql.push(&format!("SELECT {} FROM {} WHERE valid_to = ", columns::<R>(), R::TABLE));
        sql.integer(FOREVER).push(&format!(" AND {column} = ")).text(id);
        let rows: Vec<R> = sql.fetch_all(&mut snapshot.db).await?;
        let item = rows.into_iter().next().map(read).transpose()?;
        Ok(Found { position: snapshot.position, item })
    }
}

impl Snapshot<'_> {
    /// Live rows, newest first, one more than the page has room for. `column` says whose history a row is of.
    async fn live<R>(&mut self, column: &str, page: ListPage) -> Result<Vec<Aged<R>>, ProjectionError>
    where
        R: Row + for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let mut sql = Sql::default();
        let columns: Vec<String> = R::COLUMNS.iter().map(|(name, _)| format!("t.{name}")).collect();
        sql.push(&format!(
            "SELECT {}, f.position AS created FROM {} t JOIN {} f ON ",
            columns.join(", "),
            R::TABLE,
            R::TABLE
        ));
        sql.push(&format!("f.{column} = t.{column} AND f.valid_from = ")).integer(SINCE_EVER);
        sql.push(" WHERE t.valid_to = ").integer(FOREVER);
        sql.push(" AND f.position < ").integer(page.after.unwrap_or(i64::MAX));
        sql.push(" ORDER BY f.position DESC LIMIT ").integer(i64::from(page.limit) + 1);
        Ok(sql.fetch_all(&mut self.db).await?)
    }
}

/// Cuts a list to its page, and says what the next one is behind.
pub(super) fn page<R>(mut rows: Vec<R>, limit: u32, key: impl Fn(&R) -> i64) -> (Vec<R>, Option<i64>) {
    let limit = limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(key);
    (rows, next)
}

fn select_deals() -> Sql {
    let of = |alias: &str, columns: &[(&str, &str)], except: &[&str]| {
        let wanted = columns.iter().filter(|(name, _)| !except.contains(name));
        wanted.map(|(name, _)| format!("{alias}.{name}")).collect::<Vec<_>>().join(", ")
    };
    let mut sql = Sql::default();
    // Both rows have these; the deal's are the ones meant.
    let shared = ["deal", "position", "created_at"];
    sql.push(&format!(
        "SELECT {}, {} FROM deals r JOIN spans s ON s.position = r.span",
        of("r", DealRow::COLUMNS, &[]),
        of("s", SpanRow::COLUMNS, &shared)
    ));
    sql
}

fn deal(DealAndSpan(row, span): DealAndSpan) -> Result<Deal, ProjectionError> {
    let amount = span.amount.zip(span.currency).map(|(minor, currency)| {
        let currency: Currency = parse(&currency)?;
        Money::from_minor(minor, currency).map_err(|error| damaged(&error))
    });
    let probability = span.probability.map(|basis_points| {
        let basis_points = u16::try_from(basis_points).map_err(|error| damaged(&error))?;
        Probability::from_basis_points(basis_points).map_err(|error| damaged(&error))
    });
    let (status, loss_counted) = match span.status.as_str() {
        status::OPEN => (DealStatus::Open, None),
        status::WON => (DealStatus::Won, None),
        status::LOST => (DealStatus::Lost, Some(true)),
        _ => (DealStatus::Lost, Some(false)),
    };
    Ok(Deal {
        id: parse(&row.deal)?,
        version: version(row.version),
        position: Position(row.position.cast_unsigned()),
        title: row.title,
        pipeline: parse(&span.pipeline)?,
        stage: parse(&span.stage)?,
        status,
        customer: span.customer.as_deref().map(parse).transpose()?,
        owner: span.owner.as_deref().map(parse).transpose()?,
        amount: amount.transpose()?,
        expected_close: span.expected_close.as_deref().map(parse).transpose()?,
        probability: probability.transpose()?,
        forecast_category: span.forecast_category.as_deref().map(word).transpose()?,
        source: span.source,
        campaign: span.campaign.as_deref().map(parse).transpose()?,
        fields: json(&row.fields)?,
        contract: row.contract,
        loss_reason: row.loss_reason.as_deref().map(parse).transpose()?,
        loss_counted,
        competitor: row.competitor,
        duplicate_of: row.duplicate_of.as_deref().map(parse).transpose()?,
        created_at: time(row.created_at)?,
        updated_at: time(row.updated_at)?,
        entered_at: time(span.entered_at)?,
        closed_at: span.closed_at.map(time).transpose()?,
    })
}

fn pipeline(row: PipelineRow, stages: Vec<StageRow>) -> Result<Pipeline, ProjectionError> {
    let stage = |row: StageRow| -> Result<PipelineStage, ProjectionError> {
        let basis_points = u16::try_from(row.probability).map_err(|error| damaged(&error))?;
        Ok(PipelineStage {
            stage: Stage {
                slug: parse(&row.stage)?,
                name: parse(&row.name)?,
                probability: Probability::from_basis_points(basis_points).map_err(|error| damaged(&error))?,
                stale_after_days: row.stale_after_days.and_then(|days| u16::try_from(days).ok()),
                required_fields: json(&row.required_fields)?,
                forecast_category: word(&row.forecast_category)?,
            },
            retired: row.retired == 1,
        })
    };
    Ok(Pipeline {
        id: parse(&row.pipeline)?,
        version: version(row.version),
        name: row.name,
        skipping_allowed: row.skipping_allowed == 1,
        archived: row.archived == 1,
        stages: stages.into_iter().map(stage).collect::<Result<_, _>>()?,
    })
}

fn customer(row: CustomerRow) -> Result<Customer, ProjectionError> {
    Ok(Customer {
        id: parse(&row.customer)?,
        version: version(row.version),
        kind: row.kind,
        name: row.name,
        sector: row.sector,
        fields: json(&row.fields)?,
    })
}

fn user(row: UserRow) -> Result<User, ProjectionError> {
    Ok(User {
        id: parse(&row.user_id)?,
        version: version(row.version),
        name: row.name,
        email: row.email,
        role: word(&row.role)?,
        active: row.active == 1,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that all rows are read by")]
fn settings(row: SettingsRow) -> Result<Settings, ProjectionError> {
    Ok(Settings {
        version: version(row.version),
        reporting_currency: row.reporting_currency.as_deref().map(parse).transpose()?,
        time_zone: row.time_zone.as_deref().map_or(Ok(TimeZone::UTC), parse)?,
        loss_reasons: json(&row.loss_reasons)?,
        fields: json(&row.fields)?,
    })
}

fn version(version: i64) -> Version {
    Version(version.cast_unsigned())
}

pub(super) fn parse<T>(text: &str) -> Result<T, ProjectionError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| damaged(&error))
}

/// A word of an enum, such as a role.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ProjectionError> {
    serde_json::from_value(text.into()).map_err(|error| damaged(&error))
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ProjectionError> {
    serde_json::from_str(text).map_err(|error| damaged(&error))
}

pub(super) fn time(micros: i64) -> Result<Timestamp, ProjectionError> {
    Timestamp::from_micros(micros).map_err(|error| damaged(&error))
}
