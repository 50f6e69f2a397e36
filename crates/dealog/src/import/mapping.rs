//! The mapping: which column of which file is what. A TOML file, explained key by key in `examples/maven/mapping.toml`.
//!
//! A key that is misspelt is an error, never ignored, and whatever can be wrong in a mapping by itself is found before the
//! first CSV file is opened.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
    str::FromStr,
};

use chrono::{
    NaiveDate,
    format::{Item, StrftimeItems},
};
use dealog_events::{
    Currency, Label, Slug, TimeZone, Title, parse_day,
    pipeline::Stage,
    settings::{FieldDefinition, FieldKind, FieldOwner, LossReason},
    user::Role,
};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::template::Template;

/// Bytes of a mapping.
const MAPPING_BYTES_MAX: u64 = 1024 * 1024;

/// A whole mapping.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mapping {
    pub(super) source: Source,
    #[serde(default)]
    pub(super) format: Format,
    #[serde(default)]
    pub(super) loss_reasons: Vec<LossReason>,
    pub(super) pipeline: Pipeline,
    pub(super) customers: Option<Customers>,
    pub(super) users: Option<Users>,
    #[serde(default)]
    pub(super) lookups: BTreeMap<String, Lookup>,
    pub(super) deals: Deals,
}

/// Other spellings of what stands in a column: column -> as in the file -> as it should be.
pub(super) type Aliases = BTreeMap<String, BTreeMap<String, String>>;

/// Where the files come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    /// The namespace of all ids.
    pub(super) name: Title,
    pub(super) currency: Currency,
    /// Where the source's days begin.
    pub(super) time_zone: TimeZone,
    /// The day on which everything that deals refer to is dated.
    pub(super) since: Day,
}

/// How the files write things.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Format {
    delimiter: char,
    /// In the notation of `strftime`; ISO 8601 if absent.
    pub(super) date: Option<String>,
    decimal: char,
    thousands: Option<char>,
}

impl Default for Format {
    fn default() -> Self {
        Self { delimiter: ',', date: None, decimal: '.', thousands: None }
    }
}

impl Format {
    pub(super) fn delimiter(&self) -> u8 {
        // Checked when the mapping is read.
        u8::try_from(self.delimiter).unwrap_or(b',')
    }

    /// A number with a point and without anything between its thousands.
    pub(super) fn plain_number(&self, text: &str) -> String {
        let digits = text.chars().filter(|c| Some(*c) != self.thousands);
        digits.map(|c| if c == self.decimal { '.' } else { c }).collect()
    }
}

/// The pipeline that the deals go through.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pipeline {
    pub(super) name: Title,
    pub(super) stages: Vec<Stage>,
    #[serde(default = "allowed")]
    pub(super) skipping_allowed: bool,
}

fn allowed() -> bool {
    true
}

/// One of the company's own fields, and the column that fills it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Field {
    pub(super) slug: Slug,
    name: Title,
    pub(super) kind: FieldKind,
    #[serde(default)]
    pub(super) options: Vec<Label>,
    pub(super) column: String,
}

/// A file of customers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Customers {
    pub(super) file: String,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) sector: Option<String>,
    #[serde(default)]
    pub(super) fields: Vec<Field>,
    #[serde(default)]
    pub(super) aliases: Aliases,
}

/// A file of users.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Users {
    pub(super) file: String,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) email: Option<String>,
    #[serde(default = "seller")]
    pub(super) role: Role,
    /// The column with the id of the user's manager, who becomes a user too.
    pub(super) manager: Option<String>,
    pub(super) team: Option<Team>,
    #[serde(default)]
    pub(super) aliases: Aliases,
}

fn seller() -> Role {
    Role::Seller
}

/// The team of a user.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Team {
    pub(super) id: String,
    pub(super) name: Template,
}

/// A file in which an amount is looked up.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lookup {
    pub(super) file: String,
    pub(super) key: String,
    pub(super) amount: String,
    #[serde(default)]
    pub(super) aliases: Aliases,
}

/// The file of deals.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deals {
    pub(super) file: String,
    pub(super) id: String,
    /// The first whose columns are all filled is taken.
    pub(super) title: Vec<Template>,
    pub(super) owner: Option<String>,
    pub(super) customer: Option<String>,
    pub(super) amount: Option<Amount>,
    pub(super) expected_close: Option<String>,
    pub(super) source: Option<String>,
    pub(super) stage: StageColumn,
    /// The columns that say when a stage was entered.
    #[serde(default)]
    pub(super) entered: BTreeMap<Slug, String>,
    pub(super) date_if_empty: Option<Day>,
    #[serde(default)]
    pub(super) fields: Vec<Field>,
    #[serde(default)]
    pub(super) aliases: Aliases,
}

/// What a deal is worth at its creation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Amount {
    pub(super) column: String,
    /// The lookup in which the column's value is a key; without one the column holds the amount itself.
    pub(super) lookup: Option<String>,
}

/// How far a deal has come.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StageColumn {
    pub(super) column: String,
    pub(super) values: BTreeMap<String, Standing>,
}

/// What a value of the stage column means.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Standing {
    /// The stage that the deal is in, or was closed from.
    pub(super) stage: Slug,
    pub(super) won: Option<Won>,
    pub(super) lost: Option<Lost>,
}

/// How a win is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Won {
    pub(super) date: String,
    pub(super) date_if_empty: Option<Day>,
    /// The column with what it was won at; without one the deal's amount stands.
    pub(super) amount: Option<String>,
}

/// How a loss is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lost {
    pub(super) date: String,
    pub(super) date_if_empty: Option<Day>,
    /// The reason where the file gives none.
    pub(super) reason: Slug,
    pub(super) reason_column: Option<String>,
    #[serde(default)]
    pub(super) reasons: BTreeMap<String, Slug>,
}

/// A day, as a date of TOML's own or as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day(pub(super) NaiveDate);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::Datetime(date) => date.to_string(),
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        parse_day(&text).map(Self).map_err(|_| D::Error::custom(format!("`{text}` is not a day: expected 2017-12-31")))
    }
}

/// Why a mapping cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MappingError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not the TOML of a mapping. The text shows the line.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// Its parts do not fit together.
    #[error("{key}: {reason}")]
    Unfit {
        /// Where in the mapping.
        key: String,
        /// What is wrong there, and what would be right.
        reason: String,
    },
}

impl Mapping {
    /// Reads a mapping from a file.
    pub(crate) fn read(path: &Path) -> Result<Self, MappingError> {
        let unreadable = |source| MappingError::Unreadable { path: path.to_owned(), source };
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(MAPPING_BYTES_MAX + 1).read_to_string(&mut text));
        if read.map_err(unreadable)? as u64 > MAPPING_BYTES_MAX {
            let reason = format!("a mapping has at most {MAPPING_BYTES_MAX} bytes");
            return Err(MappingError::Unfit { key: "the whole".into(), reason });
        }
        text.parse()
    }

    /// The company's own fields that the mapping fills.
    pub(super) fn fields(&self) -> impl Iterator<Item = FieldDefinition> {
        let of = |of: FieldOwner, fields: &[Field]| -> Vec<FieldDefinition> {
            let define = |field: &Field| FieldDefinition {
                slug: field.slug.clone(),
                of,
                name: field.name.clone(),
                kind: field.kind,
                options: field.options.clone(),
            };
            fields.iter().map(define).collect()
        };
        let customers = self.customers.as_ref().map(|customers| customers.fields.as_slice()).unwrap_or_default();
        of(FieldOwner::Customer, customers).into_iter().chain(of(FieldOwner::Deal, &self.deals.fields))
    }

    /// The files that it names, each with its key.
    fn files(&self) -> impl Iterator<Item = (String, &str)> {
        let customers = self.customers.iter().map(|customers| ("customers.file".to_owned(), customers.file.as_str()));
        let users = self.users.iter().map(|users| ("users.file".to_owned(), users.file.as_str()));
        let lookups = self.lookups.iter().map(|(name, lookup)| (format!("lookups.{name}.file"), lookup.file.as_str()));
        customers.chain(users).chain(lookups).chain([("deals.file".to_owned(), self.deals.file.as_str())])
    }

    fn check(&self) -> Result<(), MappingError> {
        let Self { format, deals, .. } = self;
        self.files().try_for_each(|(key, file)| check_file(&key, file))?;
        ensure(format.delimiter.is_ascii(), "format.delimiter", || "expected one ASCII character".into())?;
        if let Some(date) = &format.date {
            let fits = !StrftimeItems::new(date).any(|item| matches!(item, Item::Error));
            ensure(fits, "format.date", || format!("`{date}` is not a form such as %d.%m.%Y"))?;
        }
        ensure(deals.owner.is_none() || self.users.is_some(), "deals.owner", || "it needs [users]".into())?;
        ensure(deals.customer.is_none() || self.customers.is_some(), "deals.customer", || {
            "it needs [customers]".into()
        })?;
        ensure(!deals.title.is_empty(), "deals.title", || "expected at least one text".into())?;
        if let Some(lookup) = deals.amount.as_ref().and_then(|amount| amount.lookup.as_ref()) {
            let names = || self.lookups.keys().cloned().collect::<Vec<_>>().join(", ");
            ensure(self.lookups.contains_key(lookup), "deals.amount.lookup", || {
                format!("there is no [lookups.{lookup}]; there are: {}", names())
            })?;
        }
        deals.entered.keys().try_for_each(|stage| self.check_stage("deals.entered", stage))?;
        deals.stage.values.iter().try_for_each(|(value, standing)| self.check_standing(value, standing))
    }

    fn check_stage(&self, key: &str, slug: &Slug) -> Result<(), MappingError> {
        let slugs: Vec<&str> = self.pipeline.stages.iter().map(|stage| stage.slug.as_str()).collect();
        ensure(slugs.contains(&slug.as_str()), key, || {
            format!("`{slug}` is not one of pipeline.stages: {}", slugs.join(", "))
        })
    }

    fn check_standing(&self, value: &str, standing: &Standing) -> Result<(), MappingError> {
        let key = format!("deals.stage.values.{value}");
        self.check_stage(&key, &standing.stage)?;
        ensure(standing.won.is_none() || standing.lost.is_none(), &key, || "it is either won or lost".into())?;
        let closed = standing.won.is_some() || standing.lost.is_some();
        let dated = self.deals.entered.contains_key(&standing.stage) || self.deals.date_if_empty.is_some();
        ensure(closed || dated, &key, || {
            format!(
                "nothing says when a deal entered `{}`: name its column in [deals.entered], or set deals.date_if_empty",
                standing.stage
            )
        })?;
        let Some(lost) = &standing.lost else { return Ok(()) };
        let known: Vec<&Slug> = self.loss_reasons.iter().map(|reason| &reason.slug).collect();
        lost.reasons.values().chain([&lost.reason]).try_for_each(|reason| {
            ensure(known.contains(&reason), &key, || format!("there is no [[loss_reasons]] with the slug `{reason}`"))
        })?;
        ensure(lost.reasons.is_empty() || lost.reason_column.is_some(), &key, || {
            "lost.reasons needs lost.reason_column".into()
        })
    }
}

impl FromStr for Mapping {
    type Err = MappingError;
    fn from_str(text: &str) -> Result<Self, MappingError> {
        let mapping: Self = toml::from_str(text)?;
        mapping.check()?;
        Ok(mapping)
    }
}

/// A mapping may come from elsewhere, and names files of the folder alone.
fn check_file(key: &str, file: &str) -> Result<(), MappingError> {
    let within = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    ensure(Path::new(file).components().all(within), key, || {
        "expected a file within the folder that is imported, such as deals.csv or parts/deals.csv".into()
    })
}

fn ensure(right: bool, key: &str, reason: impl FnOnce() -> String) -> Result<(), MappingError> {
    if right { Ok(()) } else { Err(MappingError::Unfit { key: key.to_owned(), reason: reason() }) }
}
