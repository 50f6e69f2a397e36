//! Pipelines, customers, users, teams and settings as they are now.

use std::collections::BTreeMap;

use dealog_events::{
    Currency, CustomerId, Fields, PipelineId, Probability, TeamId, TimeZone, Timestamp, UserId, Version,
    pipeline::Stage,
    settings::{FieldDefinition, LossReason},
    user::Role,
};
use serde::Serialize;
use sqlx::{FromRow, any::AnyRow};
use utoipa::ToSchema;

use super::{
    Views,
    page::{Found, ListPage, Named, page},
    snapshot::{Snapshot, damaged},
    sql::Sql,
    stored::{json, parse, version, word},
};
use crate::{
    ProjectionError,
    deals::tables::{
        CustomerRow, FOREVER, MemberRow, PipelineRow, SINCE_EVER, SettingsRow, StageRow, TeamRow, UserRow,
    },
    table::{Row, columns},
};

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

impl Views {
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
        let mut members = snapshot.members().await?;
        let mut items = Vec::with_capacity(rows.len());
        for Aged { row, .. } in rows {
            items.push(team(row, &mut members)?);
        }
        Ok(Named { position: snapshot.position, items, next })
    }

    /// A team as it is now.
    pub async fn team(&self, id: TeamId, now: Timestamp) -> Result<Found<Team>, ProjectionError> {
        let mut snapshot = self.snapshot_now(now).await?;
        let mut members = snapshot.members().await?;
        let row = snapshot.live_one::<TeamRow>("team", id.to_string()).await?;
        let item = row.map(|row| team(row, &mut members)).transpose()?;
        Ok(Found { position: snapshot.position, item })
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
        let item = snapshot.live_one::<R>(column, id).await?.map(read).transpose()?;
        Ok(Found { position: snapshot.position, item })
    }
}

impl Snapshot<'_> {
    /// The live row whose `column` is `id`.
    async fn live_one<R>(&mut self, column: &str, id: String) -> Result<Option<R>, ProjectionError>
    where
        R: Row + for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        let mut sql = Sql::default();
        sql.push(&format!("SELECT {} FROM {} WHERE valid_to = ", columns::<R>(), R::TABLE));
        sql.integer(FOREVER).push(&format!(" AND {column} = ")).text(id);
        Ok(sql.fetch_all(&mut self.db).await?.into_iter().next())
    }

    /// Who is in which team now.
    async fn members(&mut self) -> Result<Members, ProjectionError> {
        let mut sql = Sql::default();
        sql.push(&format!("SELECT {} FROM members WHERE valid_to = ", columns::<MemberRow>()));
        sql.integer(FOREVER).push(" ORDER BY position");
        let mut members = Members::new();
        for member in sql.fetch_all::<MemberRow>(&mut self.db).await? {
            members.entry(member.team).or_default().push(parse(&member.user_id)?);
        }
        Ok(members)
    }

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

/// Users by team.
type Members = BTreeMap<String, Vec<UserId>>;

fn team(row: TeamRow, members: &mut Members) -> Result<Team, ProjectionError> {
    let members = members.remove(&row.team).unwrap_or_default();
    Ok(Team { id: parse(&row.team)?, version: version(row.version), name: row.name, members })
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
