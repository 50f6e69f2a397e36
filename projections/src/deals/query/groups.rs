//! Groups: the same figures for each owner, team, month ... by itself.
//!
//! Every statement of a grouped figure is written once, with the keys of a deal's group as more columns: what is grouped by
//! nothing has one group, that of no keys, and this is the total. No figure of the total is put together from those of
//! groups, nor the other way round: a mean or a median would be wrong.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use sqlx::{FromRow, any::AnyRow};
use utoipa::ToSchema;

use super::{keys::Keys, snapshot::Snapshot};
use crate::{
    ProjectionError,
    deals::tables::{CustomerRow, TeamRow, UserRow},
    table::find,
};

/// What figures can be grouped by. A deal is in the group that the filter of this name would find it by: an open one by
/// what it is at the instant asked about, a closed one by what it was at its closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Who is responsible.
    Owner,
    /// The teams that the owner is in at the instant asked about. Of one who is in several teams, all of them together make
    /// one group: a deal is never counted twice.
    Team,
    /// Where it came from.
    Source,
    /// What brought it.
    Campaign,
    /// To whom is sold.
    Customer,
    /// The month in the company's time zone: of its creation for a cohort, of the event for what happened in a period, else
    /// of the closing, and for open deals of the expected close.
    Month,
}

impl By {
    /// All there are.
    pub const ALL: [Self; 6] = [Self::Owner, Self::Team, Self::Source, Self::Campaign, Self::Customer, Self::Month];

    /// As it is written in questions and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Team => "team",
            Self::Source => "source",
            Self::Campaign => "campaign",
            Self::Customer => "customer",
            Self::Month => "month",
        }
    }
}

/// How figures are grouped: not at all, by one thing, or by a second within the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    /// By what.
    pub by: [Option<By>; 2],
    /// Groups of an answer, at most.
    pub groups_max: usize,
}

/// A part of what makes a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct GroupKey {
    /// What it is.
    pub by: By,
    /// The id, the source itself, or the month such as `2026-03`; of an owner in several teams the ids of these, with commas
    /// between. Null for deals that have none.
    pub id: Option<String>,
    /// What it is called at the instant asked about. Null where it has no name.
    pub name: Option<String>,
}

/// The figures of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Group<T> {
    /// What its deals have in common, in the order asked for.
    pub key: Vec<GroupKey>,
    /// Its figures.
    #[serde(flatten)]
    pub figures: T,
}

/// The ids that make a group, as they are stored; none for what is not grouped by.
pub(super) type Key = [Option<String>; 2];

/// A row, and the group that it belongs to: its last columns, `key_1` and `key_2`, as far as there are such.
pub(super) struct Keyed<R> {
    pub(super) key: Key,
    pub(super) row: R,
}

impl<'r, R: FromRow<'r, AnyRow>> FromRow<'r, AnyRow> for Keyed<R> {
    fn from_row(row: &'r AnyRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row as _;
        let key = |column: &str| match row.try_get(column) {
            Err(sqlx::Error::ColumnNotFound(_)) => Ok(None),
            found => found,
        };
        Ok(Self { key: [key("key_1")?, key("key_2")?], row: R::from_row(row)? })
    }
}

/// What was found of each group.
pub(super) struct Groups<T> {
    found: BTreeMap<Key, T>,
    max: usize,
}

impl<T: Default> Groups<T> {
    pub(super) fn of(keys: &Keys) -> Self {
        Self { found: BTreeMap::new(), max: keys.groups_max() }
    }

    /// What was found of this group so far.
    pub(super) fn at(&mut self, key: Key) -> Result<&mut T, ProjectionError> {
        if self.found.len() >= self.max && !self.found.contains_key(&key) {
            return Err(ProjectionError::TooManyGroups { max: self.max });
        }
        Ok(self.found.entry(key).or_default())
    }

    /// The figures of what was found.
    pub(super) fn map<F>(
        self,
        figures: impl Fn(T) -> Result<F, ProjectionError>,
    ) -> Result<Groups<F>, ProjectionError> {
        let found = self.found.into_iter().map(|(key, found)| Ok((key, figures(found)?)));
        Ok(Groups { found: found.collect::<Result<_, ProjectionError>>()?, max: self.max })
    }

    /// What was found where nothing is grouped.
    pub(super) fn total(self) -> T {
        self.found.into_values().next().unwrap_or_default()
    }
}

impl Snapshot<'_> {
    /// The figures of each group, under its name and in the order of names; what has none comes last.
    pub(super) async fn named<T>(&mut self, keys: &Keys, groups: Groups<T>) -> Result<Vec<Group<T>>, ProjectionError> {
        let mut dimensions = Vec::new();
        for (place, by) in keys.by() {
            let ids = groups.found.keys().filter_map(|key| key.get(place)?.as_deref()).collect();
            dimensions.push((place, by, self.names(by, ids).await?));
        }
        let mut named = Vec::with_capacity(groups.found.len());
        for (key, figures) in groups.found {
            let parts = dimensions
                .iter()
                .map(|(place, by, names)| named_key(*by, key.get(*place).and_then(Option::as_deref), names));
            named.push(Group { key: parts.collect(), figures });
        }
        named.sort_by(|one, other| one.key.iter().map(rank).cmp(other.key.iter().map(rank)));
        Ok(named)
    }

    /// What is called how at the instant asked about.
    async fn names(&mut self, by: By, ids: HashSet<&str>) -> Result<HashMap<String, String>, ProjectionError> {
        let ids: Vec<&str> = ids.into_iter().flat_map(|id| parts(by, id)).collect();
        let (db, at) = (&mut self.db, self.at.micros());
        let stood = |column: &str| format!("valid_from <= {at} AND valid_to > {at} AND {column}");
        Ok(match by {
            By::Owner => {
                let rows = find::<UserRow, _>(db, &stood("user_id"), &ids).await?;
                rows.into_iter().map(|row| (row.user_id, row.name)).collect()
            }
            By::Team => {
                let rows = find::<TeamRow, _>(db, &stood("team"), &ids).await?;
                rows.into_iter().map(|row| (row.team, row.name)).collect()
            }
            By::Customer => {
                let rows = find::<CustomerRow, _>(db, &stood("customer"), &ids).await?;
                rows.into_iter().map(|row| (row.customer, row.name)).collect()
            }
            By::Source | By::Month => ids.into_iter().map(|id| (id.to_owned(), id.to_owned())).collect(),
            // Nothing says yet what a campaign is called.
            By::Campaign => HashMap::new(),
        })
    }
}

/// The ids that a stored key is made of.
fn parts(by: By, id: &str) -> Vec<&str> {
    if by == By::Team { id.split(',').collect() } else { vec![id] }
}

fn named_key(by: By, id: Option<&str>, names: &HashMap<String, String>) -> GroupKey {
    let Some(id) = id else { return GroupKey { by, id: None, name: None } };
    let mut named: Vec<(Option<&str>, &str)> =
        parts(by, id).into_iter().map(|id| (names.get(id).map(String::as_str), id)).collect();
    named.sort_unstable();
    let (names, ids): (Vec<_>, Vec<_>) = named.into_iter().unzip();
    let names: Option<Vec<&str>> = names.into_iter().collect();
    GroupKey { by, id: Some(ids.join(",")), name: names.map(|names| names.join(" + ")) }
}

/// What groups are ordered by: the name, then the id; what has none comes last.
fn rank(key: &GroupKey) -> (bool, Option<&str>, bool, Option<&str>) {
    (key.name.is_none(), key.name.as_deref(), key.id.is_none(), key.id.as_deref())
}
