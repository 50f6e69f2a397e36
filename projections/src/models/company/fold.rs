//! The fold of what a company defines.

use dealog_events::{
    Envelope, Event, Slug,
    pipeline::{PipelineEvent, Stage},
    settings::SettingsEvent,
    team::TeamEvent,
    user::UserEvent,
};
use sqlx::AnyConnection;

use super::tables::{MemberRow, PipelineRow, SettingsRow, StageRow, TeamRow, UserRow};
use crate::{
    ProjectionError,
    models::{
        history::{self, FOREVER, Fold, SINCE_EVER, key, position},
        json,
        stored::name_of,
        unapplicable,
    },
    table::{find, upsert},
};

/// The live rows of everything that was folded last.
#[derive(Default)]
pub(super) struct Live {
    pipelines: history::Live<PipelineRow>,
    users: history::Live<UserRow>,
    teams: history::Live<TeamRow>,
    settings: history::Live<SettingsRow>,
}

impl Live {
    pub(super) async fn apply(
        &mut self,
        db: &mut AnyConnection,
        events: &[(Envelope, Event)],
    ) -> Result<(), ProjectionError> {
        let (mut pipelines, mut users, mut teams, mut settings) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (envelope, event) in events {
            match event {
                Event::Pipeline(event) => pipelines.push((envelope, event)),
                Event::User(event) => users.push((envelope, event)),
                Event::Team(event) => teams.push((envelope, event)),
                Event::Settings(event) => settings.push((envelope, event)),
                Event::Customer(_) | Event::Deal(_) => {}
            }
        }
        self.pipelines.apply(db, &pipelines).await?;
        self.users.apply(db, &users).await?;
        self.teams.apply(db, &teams).await?;
        self.settings.apply(db, &settings).await?;
        // One by one: there are few of them, and simple is worth more here than fast.
        for (envelope, event) in pipelines {
            stages(db, envelope, event).await?;
        }
        for (envelope, event) in teams {
            member(db, envelope, event).await?;
        }
        Ok(())
    }
}

impl Fold for PipelineRow {
    type Event = PipelineEvent;
    const SINCE_EVER: bool = true;

    fn begin(&mut self, envelope: &Envelope, event: &PipelineEvent) -> Result<(), ProjectionError> {
        let PipelineEvent::Defined(event) = event else {
            return Err(unapplicable(envelope, "the pipeline was never defined"));
        };
        self.name = event.name.to_string();
        self.skipping_allowed = event.skipping_allowed.into();
        Ok(())
    }

    fn change(&mut self, envelope: &Envelope, event: &PipelineEvent) -> Result<(), ProjectionError> {
        match event {
            PipelineEvent::Defined(_) => return Err(unapplicable(envelope, "the pipeline was defined before")),
            PipelineEvent::Renamed(event) => self.name = event.to.to_string(),
            PipelineEvent::Archived(_) => self.archived = 1,
            PipelineEvent::Unarchived(_) => self.archived = 0,
            PipelineEvent::StageAdded(_)
            | PipelineEvent::StageRevised(_)
            | PipelineEvent::StageRetired(_)
            | PipelineEvent::StageReinstated(_)
            | PipelineEvent::StagesReordered(_) => {}
        }
        Ok(())
    }
}

impl Fold for UserRow {
    type Event = UserEvent;
    const SINCE_EVER: bool = true;

    fn begin(&mut self, envelope: &Envelope, event: &UserEvent) -> Result<(), ProjectionError> {
        let UserEvent::Invited(event) = event else { return Err(unapplicable(envelope, "the user was never invited")) };
        self.name = event.name.shown();
        self.email = event.email.as_ref().and_then(|email| Some(email.open().ok()?.to_string()));
        self.roles = json(&event.roles)?;
        self.active = 1;
        Ok(())
    }

    fn change(&mut self, envelope: &Envelope, event: &UserEvent) -> Result<(), ProjectionError> {
        match event {
            UserEvent::Invited(_) => return Err(unapplicable(envelope, "the user was invited before")),
            UserEvent::Renamed(event) => self.name = event.to.shown(),
            UserEvent::RolesChanged(event) => self.roles = json(&event.to)?,
            UserEvent::Deactivated(_) => self.active = 0,
            UserEvent::Reactivated(_) => self.active = 1,
        }
        Ok(())
    }
}

impl Fold for TeamRow {
    type Event = TeamEvent;
    const SINCE_EVER: bool = true;

    fn begin(&mut self, envelope: &Envelope, event: &TeamEvent) -> Result<(), ProjectionError> {
        let TeamEvent::Formed(event) = event else { return Err(unapplicable(envelope, "the team was never formed")) };
        self.name = event.name.to_string();
        Ok(())
    }

    fn change(&mut self, envelope: &Envelope, event: &TeamEvent) -> Result<(), ProjectionError> {
        match event {
            TeamEvent::Formed(_) => return Err(unapplicable(envelope, "the team was formed before")),
            TeamEvent::Renamed(event) => self.name = event.to.to_string(),
            TeamEvent::MemberAdded(_) | TeamEvent::MemberRemoved(_) => {}
        }
        Ok(())
    }
}

impl Fold for SettingsRow {
    type Event = SettingsEvent;
    const SINCE_EVER: bool = true;

    fn begin(&mut self, envelope: &Envelope, event: &SettingsEvent) -> Result<(), ProjectionError> {
        self.change(envelope, event)
    }

    fn change(&mut self, _: &Envelope, event: &SettingsEvent) -> Result<(), ProjectionError> {
        match event {
            SettingsEvent::ReportingCurrencySet(event) => self.reporting_currency = Some(event.to.to_string()),
            SettingsEvent::TimeZoneSet(event) => self.time_zone = Some(event.to.to_string()),
            SettingsEvent::LossReasonsSet(event) => self.loss_reasons = Some(json(&event.to)?),
            SettingsEvent::FieldsDefined(event) => self.fields = Some(json(&event.to)?),
        }
        Ok(())
    }
}

/// Ends the stages of a pipeline's definition, and begins those of the next.
async fn stages(db: &mut AnyConnection, envelope: &Envelope, event: &PipelineEvent) -> Result<(), ProjectionError> {
    let pipeline = key(envelope.stream);
    if let PipelineEvent::Defined(event) = event {
        let stages = event.stages.iter().map(stage_row).collect::<Result<Vec<_>, _>>()?;
        return write_stages(db, envelope, SINCE_EVER, stages).await;
    }
    let of_pipeline = format!("ended = {FOREVER} AND pipeline");
    let mut stages: Vec<StageRow> = find(db, &of_pipeline, &[pipeline.as_str()]).await?;
    stages.sort_by_key(|stage| stage.ordinal);
    let place = |stages: &[StageRow], slug: &Slug| stages.iter().position(|stage| stage.stage == slug.as_str());
    match event {
        PipelineEvent::Defined(_)
        | PipelineEvent::Renamed(_)
        | PipelineEvent::Archived(_)
        | PipelineEvent::Unarchived(_) => {}
        PipelineEvent::StageAdded(event) => {
            let at = event.after.as_ref().and_then(|after| place(&stages, after)).map_or(0, |index| index + 1);
            stages.insert(at, stage_row(&event.stage)?);
        }
        PipelineEvent::StageRevised(event) => {
            let revised = stage_row(&event.to)?;
            if let Some(stage) = stages.iter_mut().find(|stage| stage.stage == revised.stage) {
                *stage = StageRow { retired: stage.retired, ..revised };
            }
        }
        PipelineEvent::StageRetired(event) => {
            if let Some(stage) = stages.iter_mut().find(|stage| stage.stage == event.stage.as_str()) {
                stage.retired = 1;
            }
        }
        PipelineEvent::StageReinstated(event) => {
            if let Some(stage) = stages.iter_mut().find(|stage| stage.stage == event.stage.as_str()) {
                stage.retired = 0;
            }
        }
        PipelineEvent::StagesReordered(event) => {
            stages.sort_by_key(|stage| event.to.iter().position(|slug| slug.as_str() == stage.stage));
        }
    }
    let at = envelope.occurred_at.micros();
    sqlx::query("UPDATE stages SET valid_to = $1, ended = $2 WHERE pipeline = $3 AND ended = $4")
        .bind(at)
        .bind(position(envelope))
        .bind(pipeline)
        .bind(FOREVER)
        .execute(&mut *db)
        .await?;
    write_stages(db, envelope, at, stages).await
}

fn stage_row(stage: &Stage) -> Result<StageRow, ProjectionError> {
    Ok(StageRow {
        stage: stage.slug.to_string(),
        name: stage.name.to_string(),
        probability: stage.probability.basis_points().into(),
        stale_after_days: stage.stale_after_days.map(i64::from),
        required_fields: json(&stage.required_fields)?,
        forecast_category: name_of(stage.forecast_category).into(),
        ..StageRow::default()
    })
}

async fn write_stages(
    db: &mut AnyConnection,
    envelope: &Envelope,
    valid_from: i64,
    mut stages: Vec<StageRow>,
) -> Result<(), ProjectionError> {
    for (ordinal, stage) in (0..).zip(&mut stages) {
        stage.began = position(envelope);
        stage.ordinal = ordinal;
        stage.ended = FOREVER;
        stage.valid_from = valid_from;
        stage.valid_to = FOREVER;
        stage.pipeline = key(envelope.stream);
    }
    Ok(upsert(db, &stages).await?)
}

/// Begins or ends a stay in a team.
async fn member(db: &mut AnyConnection, envelope: &Envelope, event: &TeamEvent) -> Result<(), ProjectionError> {
    let (team, at) = (key(envelope.stream), envelope.occurred_at.micros());
    match event {
        TeamEvent::Formed(_) | TeamEvent::Renamed(_) => {}
        TeamEvent::MemberAdded(event) => {
            let member = MemberRow {
                began: position(envelope),
                ended: FOREVER,
                valid_from: at,
                valid_to: FOREVER,
                team,
                user_id: event.user.to_string(),
            };
            upsert(db, &[member]).await?;
        }
        TeamEvent::MemberRemoved(event) => {
            let sql = "UPDATE members SET valid_to = $1, ended = $2 WHERE team = $3 AND user_id = $4 AND ended = $5";
            sqlx::query(sql)
                .bind(at)
                .bind(position(envelope))
                .bind(team)
                .bind(event.user.to_string())
                .bind(FOREVER)
                .execute(db)
                .await?;
        }
    }
    Ok(())
}
