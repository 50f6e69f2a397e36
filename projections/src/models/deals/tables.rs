//! The table of the model `deals`.

use crate::{
    dialect::Dialect,
    models::history::FOREVER,
    table::{Row, create},
};

/// Whether a deal is open, and how it counts if it is not.
pub(super) mod status {
    pub(in crate::models) const OPEN: &str = "open";
    pub(in crate::models) const WON: &str = "won";
    pub(in crate::models) const LOST: &str = "lost";
    /// Lost for a reason that is not counted.
    pub(in crate::models) const EXCLUDED: &str = "excluded";

    /// Of a loss.
    pub(in crate::models) fn lost(counted: bool) -> &'static str {
        if counted { LOST } else { EXCLUDED }
    }
}

history!(
    /// A deal as it was.
    "deals" of deal, DealRow {
        pipeline: String,
        /// The stage it is in, or was closed from.
        stage: String,
        status: String,
        /// When it entered its stage; for a closed deal, the stage it was closed from.
        entered_at: i64,
        created_at: i64,
        /// When it was closed last; none while it is open.
        closed_at: Option<i64>,
        customer: Option<String>,
        owner: Option<String>,
        source: Option<String>,
        campaign: Option<String>,
        /// Minor units.
        amount: Option<i64>,
        currency: Option<String>,
        /// Basis points, where set by hand.
        probability: Option<i64>,
        /// Where set by hand.
        forecast_category: Option<String>,
        /// ISO day.
        expected_close: Option<String>,
        title: String,
        /// JSON object.
        fields: String,
        contract: Option<String>,
        loss_reason: Option<String>,
        competitor: Option<String>,
        duplicate_of: Option<String>,
        /// The user who is credited with the closing; none while the deal is open.
        credited_to: Option<String>,
    }
);

pub(super) const NAMES: &[&str] = &[DealRow::TABLE];

pub(super) fn schema(dialect: Dialect) -> Vec<String> {
    vec![
        create::<DealRow>(dialect),
        // The fold looks for live rows. Of what has ended there is more and more, and it would only make this larger.
        format!("CREATE UNIQUE INDEX IF NOT EXISTS deals_deal ON deals (deal) WHERE ended = {FOREVER}"),
    ]
}

pub(super) fn indexes() -> Vec<String> {
    vec![
        // Lists, in their order: all, one owner's, one customer's. A list of the past takes the first one too, since every deal
        // has a live row, and leaves out deals that were created later without looking at more than the index.
        format!(
            "CREATE INDEX IF NOT EXISTS deals_created ON deals (created_position, created_at) WHERE ended = {FOREVER}"
        ),
        format!("CREATE INDEX IF NOT EXISTS deals_owner ON deals (owner, created_position) WHERE ended = {FOREVER}"),
        format!(
            "CREATE INDEX IF NOT EXISTS deals_customer ON deals (customer, created_position) WHERE ended = {FOREVER}"
        ),
        // The rows of one deal. Which of them is in force, the index alone tells: only that one is read.
        "CREATE INDEX IF NOT EXISTS deals_rows ON deals (created_position, ended, valid_to, valid_from)".to_owned(),
    ]
}
