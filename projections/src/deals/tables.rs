//! The tables of the projection `deals`.

use crate::{
    dialect::Dialect,
    table::{Row, create},
};

/// The end of what has not ended.
pub(crate) const FOREVER: i64 = i64::MAX;
/// The beginning of the first definition of anything: before it there was no other.
pub(crate) const SINCE_EVER: i64 = i64::MIN;

/// Whether a deal is open, and how it counts if it is not.
pub(crate) mod status {
    pub(crate) const OPEN: &str = "open";
    pub(crate) const WON: &str = "won";
    pub(crate) const LOST: &str = "lost";
    /// Lost for a reason that is not counted.
    pub(crate) const EXCLUDED: &str = "excluded";

    pub(crate) const COUNTED: &[&str] = &[OPEN, WON, LOST];
    pub(crate) const CLOSED: &[&str] = &[WON, LOST, EXCLUDED];
    pub(crate) const ALL: &[&str] = &[OPEN, WON, LOST, EXCLUDED];
}

/// How a visit ended.
pub(crate) mod left_by {
    pub(crate) const MOVED: &str = "moved";
    pub(crate) const TRANSFERRED: &str = "transferred";
    pub(crate) const WON: &str = "won";
    pub(crate) const LOST: &str = "lost";
}

table!(
    /// What only the present deal needs.
    "deals"("deal") DealRow {
        deal: String,
        title: String,
        /// JSON object.
        fields: String,
        contract: Option<String>,
        loss_reason: Option<String>,
        competitor: Option<String>,
        duplicate_of: Option<String>,
        version: i64,
        /// Of its first event: lists are in this order.
        created_position: i64,
        /// Of its last event.
        position: i64,
        created_at: i64,
        updated_at: i64,
        /// The live span.
        span: i64,
        /// The live visit; none while it is closed.
        visit: Option<i64>,
        /// JSON object: by pipeline, the stages that it ever stood in.
        visited: String,
    }
);

table!(
    /// What a deal was like from `valid_from` up to, not including, `valid_to`.
    "spans"("position") SpanRow {
        /// Of the event that began it.
        position: i64,
        deal: String,
        valid_from: i64,
        valid_to: i64,
        pipeline: String,
        stage: String,
        status: String,
        /// When it entered its stage; for a closed deal, the stage it was closed from.
        entered_at: i64,
        created_at: i64,
        /// When it was closed last; none while it is open.
        closed_at: Option<i64>,
        /// 1 once it was won, though it may have been reopened.
        ever_won: i64,
        /// The stages of this pipeline that it ever stood in, by name, with blanks between. Which of them is the furthest
        /// depends on the order of stages at the instant asked about; few deals differ in this, so it is worked out for
        /// groups of them.
        visited: String,
        customer: Option<String>,
        owner: Option<String>,
        source: Option<String>,
        campaign: Option<String>,
        /// Whom figures credit: as above while the deal is open, as they were at the closing once it is closed.
        credit_customer: Option<String>,
        credit_owner: Option<String>,
        credit_source: Option<String>,
        credit_campaign: Option<String>,
        /// Minor units.
        amount: Option<i64>,
        currency: Option<String>,
        /// Basis points, where set by hand.
        probability: Option<i64>,
        /// Where set by hand.
        forecast_category: Option<String>,
        /// ISO day.
        expected_close: Option<String>,
    }
);

table!(
    /// A stay of a deal in a stage.
    "visits"("position") VisitRow {
        /// Of the event that began it.
        position: i64,
        deal: String,
        pipeline: String,
        stage: String,
        entered_at: i64,
        left_at: i64,
        /// Of the event that ended it.
        left_position: Option<i64>,
        left_by: Option<String>,
        /// Where it moved on to.
        to_stage: Option<String>,
    }
);

table!(
    /// A definition of a pipeline.
    "pipelines"("position") PipelineRow {
        position: i64,
        pipeline: String,
        valid_from: i64,
        valid_to: i64,
        version: i64,
        name: String,
        skipping_allowed: i64,
        archived: i64,
    }
);

table!(
    /// A stage in a definition of a pipeline.
    "stages"("definition, ordinal") StageRow {
        /// The position of the pipeline's definition.
        definition: i64,
        /// From 0.
        ordinal: i64,
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

table!(
    /// A user as they were.
    "users"("position") UserRow {
        position: i64,
        user_id: String,
        valid_from: i64,
        valid_to: i64,
        version: i64,
        name: String,
        email: Option<String>,
        role: String,
        active: i64,
    }
);

table!(
    /// A team as it was.
    "teams"("position") TeamRow {
        position: i64,
        team: String,
        valid_from: i64,
        valid_to: i64,
        version: i64,
        name: String,
    }
);

table!(
    /// A stay of a user in a team.
    "members"("position") MemberRow {
        position: i64,
        team: String,
        user_id: String,
        valid_from: i64,
        valid_to: i64,
    }
);

table!(
    /// A customer as it was.
    "customers"("position") CustomerRow {
        position: i64,
        customer: String,
        valid_from: i64,
        valid_to: i64,
        version: i64,
        kind: String,
        name: String,
        sector: Option<String>,
        /// JSON object.
        fields: String,
    }
);

table!(
    /// The settings as they were.
    "settings"("position") SettingsRow {
        position: i64,
        /// The stream's name, always `settings`: the key that all histories share.
        stream: String,
        valid_from: i64,
        valid_to: i64,
        version: i64,
        reporting_currency: Option<String>,
        time_zone: Option<String>,
        /// JSON array.
        loss_reasons: String,
        /// JSON array.
        fields: String,
    }
);

table!(
    /// What the log says of the time. One row.
    "clock"("id") ClockRow {
        /// Always 1.
        id: i64,
        /// The newest instant at which anything occurred or was recorded.
        newest: i64,
    }
);

pub(crate) const NAMES: &[&str] = &[
    DealRow::TABLE,
    SpanRow::TABLE,
    VisitRow::TABLE,
    PipelineRow::TABLE,
    StageRow::TABLE,
    UserRow::TABLE,
    TeamRow::TABLE,
    MemberRow::TABLE,
    CustomerRow::TABLE,
    SettingsRow::TABLE,
    ClockRow::TABLE,
];

/// The statements that make the tables, with the indexes that the fold finds live rows by.
pub(crate) fn schema(dialect: Dialect) -> Vec<String> {
    let mut statements = vec![
        create::<DealRow>(dialect),
        create::<SpanRow>(dialect),
        create::<VisitRow>(dialect),
        create::<PipelineRow>(dialect),
        create::<StageRow>(dialect),
        create::<UserRow>(dialect),
        create::<TeamRow>(dialect),
        create::<MemberRow>(dialect),
        create::<CustomerRow>(dialect),
        create::<SettingsRow>(dialect),
        create::<ClockRow>(dialect),
    ];
    statements.extend(
        [
            "CREATE INDEX IF NOT EXISTS pipelines_pipeline ON pipelines (pipeline, valid_to)",
            "CREATE INDEX IF NOT EXISTS users_user ON users (user_id, valid_to)",
            "CREATE INDEX IF NOT EXISTS teams_team ON teams (team, valid_to)",
            "CREATE INDEX IF NOT EXISTS members_team ON members (team, valid_to)",
            "CREATE INDEX IF NOT EXISTS customers_customer ON customers (customer, valid_to)",
        ]
        .map(str::to_owned),
    );
    statements
}

/// The statements that make the indexes for queries.
pub(crate) fn indexes() -> Vec<String> {
    [
        "CREATE UNIQUE INDEX IF NOT EXISTS deals_created ON deals (created_position)",
        // What stood at an instant has not ended before it: for a recent instant that leaves little more than the live
        // rows. Most questions are about open deals, and most deals are closed.
        "CREATE INDEX IF NOT EXISTS spans_status ON spans (status, valid_to)",
        "CREATE INDEX IF NOT EXISTS spans_deal ON spans (deal, valid_to)",
        "CREATE INDEX IF NOT EXISTS visits_deal ON visits (deal, left_at)",
        "CREATE INDEX IF NOT EXISTS visits_entered ON visits (entered_at)",
        "CREATE INDEX IF NOT EXISTS visits_left ON visits (left_at)",
    ]
    .map(str::to_owned)
    .to_vec()
}
