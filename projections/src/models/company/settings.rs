//! The settings.

use dealog_events::{
    Currency, TimeZone, Version,
    settings::{FieldDefinition, LossReason},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{MODEL, tables::SettingsRow};
use crate::{
    ProjectionError,
    models::{
        Found, Lists, Seeing,
        statement::Statement,
        stored::{json, maybe, version},
    },
};

/// The settings.
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

const NOW: &str = "SELECT s.* FROM settings s WHERE s.ended = :forever";

/// In the order in which they were made, as far as they are known. There are few: each event of the settings is one.
const KNOWN: &str = "SELECT s.* FROM settings s WHERE s.began <= :known ORDER BY s.began";

impl Lists {
    /// The settings. Before one of them was first made, its first value counts, as soon as it is known.
    pub async fn settings(&self, seeing: &Seeing) -> Result<Found<Settings>, ProjectionError> {
        let mut snapshot = self.snapshot(&[MODEL], seeing).await?;
        let row = if seeing.is_now() {
            Statement::new(NOW).fetch_one(&mut snapshot.db).await?
        } else {
            let known = Statement::new(KNOWN).value("known", seeing.known_position());
            as_they_were(known.fetch_all(&mut snapshot.db).await?, seeing.until())
        };
        Ok(Found { position: snapshot.position, item: Some(settings(row.unwrap_or_default())?) })
    }
}

/// The last row that had begun by an instant, where what it lacks is what is set first after it.
fn as_they_were(rows: Vec<SettingsRow>, until: i64) -> Option<SettingsRow> {
    let mut rows = rows.into_iter();
    let mut found = rows.next()?;
    for row in rows {
        if row.valid_from <= until {
            found = row;
        } else {
            found.reporting_currency = found.reporting_currency.or(row.reporting_currency);
            found.time_zone = found.time_zone.or(row.time_zone);
            found.loss_reasons = found.loss_reasons.or(row.loss_reasons);
            found.fields = found.fields.or(row.fields);
        }
    }
    Some(found)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that all rows are read by")]
fn settings(row: SettingsRow) -> Result<Settings, ProjectionError> {
    Ok(Settings {
        version: version(row.version),
        reporting_currency: maybe(row.reporting_currency.as_deref())?,
        time_zone: maybe(row.time_zone.as_deref())?.unwrap_or(TimeZone::UTC),
        loss_reasons: row.loss_reasons.as_deref().map_or(Ok(Vec::new()), json)?,
        fields: row.fields.as_deref().map_or(Ok(Vec::new()), json)?,
    })
}
