//! The tables of the model `company`.

use crate::{
    dialect::Dialect,
    table::{Row, create},
};

history!(
    /// A pipeline as it was defined. Its stages are rows of their own.
    "pipelines" of pipeline, PipelineRow {
        name: String,
        skipping_allowed: i64,
        archived: i64,
    }
);

table!(
    /// A stage of a pipeline as it was defined. Each event of the pipeline begins a row of every stage.
    #[derive(Default)]
    "stages"("began, ordinal") StageRow {
        /// The position of the pipeline's event that began it.
        began: i64,
        /// Its place in the order, from 0.
        ordinal: i64,
        /// The position of the event that ended it.
        ended: i64,
        valid_from: i64,
        valid_to: i64,
        pipeline: String,
        stage: String,
        name: String,
        /// Basis points.
        probability: i64,
        stale_after_days: Option<i64>,
        /// JSON array.
        required_fields: String,
        forecast_category: String,
        retired: i64,
    }
);

history!(
    /// A user as they were.
    "users" of user_id, UserRow {
        name: String,
        email: Option<String>,
        /// JSON array.
        roles: String,
        active: i64,
    }
);

history!(
    /// A team as it was.
    "teams" of team, TeamRow {
        name: String,
    }
);

table!(
    /// A stay of a user in a team.
    "members"("began") MemberRow {
        /// The position of the event that began it.
        began: i64,
        /// The position of the event that ended it.
        ended: i64,
        valid_from: i64,
        valid_to: i64,
        team: String,
        user_id: String,
    }
);

history!(
    /// The settings as they were. What was never set is null.
    "settings" of stream, SettingsRow {
        reporting_currency: Option<String>,
        time_zone: Option<String>,
        /// JSON array.
        loss_reasons: Option<String>,
        /// JSON array.
        fields: Option<String>,
    }
);

pub(super) const NAMES: &[&str] =
    &[PipelineRow::TABLE, StageRow::TABLE, UserRow::TABLE, TeamRow::TABLE, MemberRow::TABLE, SettingsRow::TABLE];

pub(super) fn schema(dialect: Dialect) -> Vec<String> {
    let mut statements = vec![
        create::<PipelineRow>(dialect),
        create::<StageRow>(dialect),
        create::<UserRow>(dialect),
        create::<TeamRow>(dialect),
        create::<MemberRow>(dialect),
        create::<SettingsRow>(dialect),
    ];
    statements.extend(
        [
            "CREATE INDEX IF NOT EXISTS pipelines_pipeline ON pipelines (pipeline, ended)",
            "CREATE INDEX IF NOT EXISTS stages_pipeline ON stages (pipeline, ended)",
            "CREATE INDEX IF NOT EXISTS users_user ON users (user_id, ended)",
            "CREATE INDEX IF NOT EXISTS teams_team ON teams (team, ended)",
            "CREATE INDEX IF NOT EXISTS members_team ON members (team, ended)",
        ]
        .map(str::to_owned),
    );
    statements
}
