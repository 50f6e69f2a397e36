//! The fold of everything else: pipelines, users, teams, customers and settings, each as a history of definitions.

use std::collections::HashMap;

use dealog_events::{
    Envelope, Event, Fields, Slug,
    customer::{CustomerEvent, Registered},
    pipeline::{PipelineEvent, Stage},
    settings::SettingsEvent,
    team::TeamEvent,
    user::{Role, UserEvent},
};
use sqlx::{AnyConnection, FromRow, any::AnyRow};

use super::{
    fold::{name_of, set_field},
    json,
    tables::{CustomerRow, FOREVER, MemberRow, PipelineRow, SINCE_EVER, SettingsRow, StageRow, TeamRow, UserRow},
    unapplicable,
};
use crate::{
    ProjectionError,
    table::{Row, find, upsert},
};

/// Applies events one by one: there are few of them, and simple is worth more here than fast.
pub(super) async fn apply(db: &mut AnyConnection, events: &[&(Envelope, Event)]) -> Result<(), ProjectionError> {
    let mut customers = Histories::<CustomerRow>::default();
    for (envelope, event) in events {
        match event {
            Event::Pipeline(event) => pipeline(db, envelope, event).await?,
            Event::Customer(event) => customer(db, &mut customers, envelope, event).await?,
            Event::User(event) => user(db, envelope, event).await?,
            Event::Team(event) => team(db, envelope, event).await?,
            Event::Settings(event) => settings(db, envelope, event).await?,
            Event::Deal(_) => {}
        }
    }
    customers.write(db).await
}

/// A row that stood from one instant to the next.
trait History: Row + for<'r> FromRow<'r, AnyRow> + Clone + Send + Unpin {
    /// The column that says whose history it is.
    const OF: &'static str;
    fn of(&self) -> &str;
    fn position(&self) -> i64;
    fn place(&mut self) -> Place<'_>;
}

/// Where a row stands in its history.
struct Place<'a> {
    position: &'a mut i64,
    version: &'a mut i64,
    valid_from: &'a mut i64,
    valid_to: &'a mut i64,
}

macro_rules! history {
    ($row:ty, $column:ident) => {
        impl History for $row {
            const OF: &'static str = stringify!($column);
            fn of(&self) -> &str {
                &self.$column
            }
            fn position(&self) -> i64 {
                self.position
            }
            fn place(&mut self) -> Place<'_> {
                Place {
                    position: &mut self.position,
                    version: &mut self.version,
                    valid_from: &mut self.valid_from,
                    valid_to: &mut self.valid_to,
                }
            }
        }
    };
}

history!(PipelineRow, pipeline);
history!(UserRow, user_id);
history!(TeamRow, team);
history!(CustomerRow, customer);
history!(SettingsRow, stream);

/// Live rows that a batch has looked at, and all rows that it has changed.
struct Histories<R> {
    live: HashMap<String, R>,
    changed: HashMap<i64, R>,
}

impl<R> Default for Histories<R> {
    fn default() -> Self {
        Self { live: HashMap::new(), changed: HashMap::new() }
    }
}

impl<R: History> Histories<R> {
    async fn live(&mut self, db: &mut AnyConnection, of: &str) -> Result<Option<R>, ProjectionError> {
        if let Some(row) = self.live.get(of) {
            return Ok(Some(row.clone()));
        }
        Ok(find::<R, _>(db, &format!("valid_to = {FOREVER} AND {}", R::OF), &[of]).await?.pop())
    }

    /// Begins the first definition of something. It stands since ever: there was no other before it.
    fn begin(&mut self, mut row: R) {
        *row.place().valid_from = SINCE_EVER;
        self.keep(row);
    }

    /// Ends `before` and begins `row` in its place.
    fn follow(&mut self, envelope: &Envelope, mut before: R, mut row: R) {
        let at = envelope.occurred_at.micros();
        *before.place().valid_to = at;
        self.changed.insert(before.position(), before);
        let place = row.place();
        *place.position = envelope.position.0.cast_signed();
        *place.version = envelope.version.0.cast_signed();
        *place.valid_from = at;
        *place.valid_to = FOREVER;
        self.keep(row);
    }

    fn keep(&mut self, row: R) {
        self.changed.insert(row.position(), row.clone());
        self.live.insert(row.of().to_owned(), row);
    }

    async fn write(self, db: &mut AnyConnection) -> Result<(), ProjectionError> {
        let mut rows: Vec<R> = self.changed.into_values().collect();
        rows.sort_by_key(R::position);
        Ok(upsert(db, &rows).await?)
    }
}

/// The id in a stream's name.
fn id(envelope: &Envelope) -> String {
    let stream = envelope.stream.to_string();
    stream.split_once('-').map_or(stream.clone(), |(_, id)| id.to_owned())
}

async fn live<R: History>(
    db: &mut AnyConnection,
    histories: &mut Histories<R>,
    envelope: &Envelope,
) -> Result<R, ProjectionError> {
    histories.live(db, &id(envelope)).await?.ok_or_else(|| unapplicable(envelope, "its stream has not begun"))
}

async fn customer(
    db: &mut AnyConnection,
    rows: &mut Histories<CustomerRow>,
    envelope: &Envelope,
    event: &CustomerEvent,
) -> Result<(), ProjectionError> {
    if let CustomerEvent::Registered(Registered::Organisation { name, sector, fields }) = event {
        rows.begin(CustomerRow {
            position: envelope.position.0.cast_signed(),
            customer: id(envelope),
            valid_from: SINCE_EVER,
            valid_to: FOREVER,
            version: envelope.version.0.cast_signed(),
            kind: "organisation".into(),
            name: name.to_string(),
            sector: sector.as_ref().map(ToString::to_string),
            fields: json(fields)?,
        });
        return Ok(());
    }
    let before = live(db, rows, envelope).await?;
    let mut row = before.clone();
    match event {
        CustomerEvent::Registered(_) => {}
        CustomerEvent::Renamed(event) => row.name = event.to.to_string(),
        CustomerEvent::FieldSet(event) => {
            let mut fields: Fields =
                serde_json::from_str(&row.fields).map_err(|error| ProjectionError::Damaged(error.to_string()))?;
            set_field(&mut fields, &event.field, event.to.as_ref());
            row.fields = json(&fields)?;
        }
    }
    rows.follow(envelope, before, row);
    Ok(())
}

async fn user(db: &mut AnyConnection, envelope: &Envelope, event: &UserEvent) -> Result<(), ProjectionError> {
    let mut rows = Histories::<UserRow>::default();
    if let UserEvent::Invited(event) = event {
        rows.begin(UserRow {
            position: envelope.position.0.cast_signed(),
            user_id: id(envelope),
            valid_from: SINCE_EVER,
            valid_to: FOREVER,
            version: envelope.version.0.cast_signed(),
            name: event.name.value.to_string(),
            email: event.email.as_ref().map(|email| email.value.to_string()),
            role: role_name(event.role).into(),
            active: 1,
        });
    } else {
        let before = live(db, &mut rows, envelope).await?;
        let mut row = before.clone();
        match event {
            UserEvent::Invited(_) => {}
            UserEvent::RoleChanged(event) => row.role = role_name(event.to).into(),
            UserEvent::Deactivated(_) => row.active = 0,
        }
        rows.follow(envelope, before, row);
    }
    rows.write(db).await
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Seller => "seller",
        Role::Manager => "manager",
        Role::Analyst => "analyst",
        Role::Auditor => "auditor",
        Role::Admin => "admin",
    }
}

async fn team(db: &mut AnyConnection, envelope: &Envelope, event: &TeamEvent) -> Result<(), ProjectionError> {
    let mut rows = Histories::<TeamRow>::default();
    if let TeamEvent::Formed(event) = event {
        rows.begin(TeamRow {
            position: envelope.position.0.cast_signed(),
            team: id(envelope),
            valid_from: SINCE_EVER,
            valid_to: FOREVER,
            version: envelope.version.0.cast_signed(),
            name: event.name.to_string(),
        });
        return rows.write(db).await;
    }
    let before = live(db, &mut rows, envelope).await?;
    rows.follow(envelope, before.clone(), before);
    rows.write(db).await?;
    match event {
        TeamEvent::Formed(_) => Ok(()),
        TeamEvent::MemberAdded(event) => {
            let member = MemberRow {
                position: envelope.position.0.cast_signed(),
                team: id(envelope),
                user_id: event.user.to_string(),
                valid_from: envelope.occurred_at.micros(),
                valid_to: FOREVER,
            };
            Ok(upsert(db, &[member]).await?)
        }
        TeamEvent::MemberRemoved(event) => {
            let of_user = format!("valid_to = {FOREVER} AND user_id = '{}' AND team", event.user);
            let mut members = find::<MemberRow, _>(db, &of_user, &[id(envelope)]).await?;
            for member in &mut members {
                member.valid_to = envelope.occurred_at.micros();
            }
            Ok(upsert(db, &members).await?)
        }
    }
}

async fn settings(db: &mut AnyConnection, envelope: &Envelope, event: &SettingsEvent) -> Result<(), ProjectionError> {
    let mut rows = Histories::<SettingsRow>::default();
    let stream = envelope.stream.to_string();
    let before = rows.live(db, &stream).await?;
    let mut row = before.clone().unwrap_or_else(|| SettingsRow {
        position: envelope.position.0.cast_signed(),
        stream,
        valid_from: SINCE_EVER,
        valid_to: FOREVER,
        version: envelope.version.0.cast_signed(),
        reporting_currency: None,
        time_zone: None,
        loss_reasons: "[]".into(),
        fields: "[]".into(),
    });
    match event {
        SettingsEvent::ReportingCurrencySet(event) => row.reporting_currency = Some(event.to.to_string()),
        SettingsEvent::TimeZoneSet(event) => row.time_zone = Some(event.to.to_string()),
        SettingsEvent::LossReasonsSet(event) => row.loss_reasons = json(&event.to)?,
        SettingsEvent::FieldsDefined(event) => row.fields = json(&event.to)?,
    }
    match before {
        Some(before) => rows.follow(envelope, before, row),
        None => rows.begin(row),
    }
    rows.write(db).await
}

async fn pipeline(db: &mut AnyConnection, envelope: &Envelope, event: &PipelineEvent) -> Result<(), ProjectionError> {
    let mut rows = Histories::<PipelineRow>::default();
    let definition = envelope.position.0.cast_signed();
    if let PipelineEvent::Defined(event) = event {
        let pipeline = id(envelope);
        rows.begin(PipelineRow {
            position: definition,
            pipeline: pipeline.clone(),
            valid_from: SINCE_EVER,
            valid_to: FOREVER,
            version: envelope.version.0.cast_signed(),
            name: event.name.to_string(),
            skipping_allowed: event.skipping_allowed.into(),
            archived: 0,
        });
        rows.write(db).await?;
        let stages = event.stages.iter().map(|stage| stage_row(&pipeline, stage)).collect::<Result<Vec<_>, _>>()?;
        return write_stages(db, definition, stages).await;
    }
    let before = live(db, &mut rows, envelope).await?;
    let mut row = before.clone();
    let of_definition = format!("definition = {} AND pipeline", before.position);
    let mut stages = find::<StageRow, _>(db, &of_definition, &[before.pipeline.as_str()]).await?;
    stages.sort_by_key(|stage| stage.ordinal);
    let place = |stages: &[StageRow], slug: &Slug| stages.iter().position(|stage| stage.stage == slug.as_str());
    match event {
        PipelineEvent::Defined(_) => {}
        PipelineEvent::StageAdded(event) => {
            let at = event.after.as_ref().and_then(|after| place(&stages, after)).map_or(0, |index| index + 1);
            stages.insert(at, stage_row(&before.pipeline, &event.stage)?);
        }
        PipelineEvent::StageRevised(event) => {
            let revised = stage_row(&before.pipeline, &event.to)?;
            if let Some(stage) = stages.iter_mut().find(|stage| stage.stage == revised.stage) {
                *stage = StageRow { retired: stage.retired, ..revised };
            }
        }
        PipelineEvent::StageRetired(event) => {
            if let Some(stage) = stages.iter_mut().find(|stage| stage.stage == event.stage.as_str()) {
                stage.retired = 1;
            }
        }
        PipelineEvent::StagesReordered(event) => {
            stages.sort_by_key(|stage| event.to.iter().position(|slug| slug.as_str() == stage.stage));
        }
        PipelineEvent::Archived(_) => row.archived = 1,
    }
    rows.follow(envelope, before, row);
    rows.write(db).await?;
    write_stages(db, definition, stages).await
}

fn stage_row(pipeline: &str, stage: &Stage) -> Result<StageRow, ProjectionError> {
    Ok(StageRow {
        definition: 0,
        ordinal: 0,
        pipeline: pipeline.to_owned(),
        stage: stage.slug.to_string(),
        name: stage.name.to_string(),
        probability: stage.probability.basis_points().into(),
        stale_after_days: stage.stale_after_days.map(i64::from),
        required_fields: json(&stage.required_fields)?,
        forecast_category: name_of(stage.forecast_category).into(),
        retired: 0,
    })
}

async fn write_stages(
    db: &mut AnyConnection,
    definition: i64,
    mut stages: Vec<StageRow>,
) -> Result<(), ProjectionError> {
    for (ordinal, stage) in (0..).zip(&mut stages) {
        stage.definition = definition;
        stage.ordinal = ordinal;
    }
    Ok(upsert(db, &stages).await?)
}
