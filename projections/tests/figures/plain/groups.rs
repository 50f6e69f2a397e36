//! Groups: the question asked again for each of them alone.

use dealog_events::{TeamId, Timestamp};
use dealog_projections::deals::query::{By, Group, GroupKey};

use super::{Ask, fold::Attributes};
use crate::{answers::Answer, company::val};

/// The ids that make a group.
pub(super) type Key = Vec<Option<String>>;

impl Ask<'_> {
    /// The figures of all, and of every group that has any.
    pub(super) fn grouped<T: PartialEq>(&self, figures: impl Fn(&Self) -> Answer<T>) -> Answer<(T, Vec<Group<T>>)> {
        let total = figures(self)?;
        let of_group = |key: &Key| figures(&Self { group: Some(key.clone()), ..self.clone() });
        let nothing = of_group(&vec![Some("of nobody".to_owned())])?;
        let mut groups = Vec::new();
        for key in self.met.take() {
            let figures = of_group(&key)?;
            if !self.by.is_empty() && figures != nothing {
                let key = self.by.iter().zip(key).map(|(by, id)| self.named(*by, id)).collect();
                groups.push(Group { key, figures });
            }
        }
        let last_if_none = |text: &Option<String>| (text.is_none(), text.clone());
        groups.sort_by_key(|group| {
            let parts = group.key.iter();
            parts.map(|part| (last_if_none(&part.name), last_if_none(&part.id))).collect::<Vec<_>>()
        });
        Ok((total, groups))
    }

    /// Whether something that is like this, and of this month, belongs to the group asked about.
    pub(super) fn in_group(&self, attributes: &Attributes, month: Option<&str>) -> bool {
        let part = |by: &By| match by {
            By::Owner => attributes.owner.map(|id| id.to_string()),
            By::Team => self.teams(attributes),
            By::Source => attributes.source.as_ref().map(ToString::to_string),
            By::Campaign => attributes.campaign.map(|id| id.to_string()),
            By::Customer => attributes.customer.map(|id| id.to_string()),
            By::Month => month.map(ToOwned::to_owned),
        };
        let key: Key = self.by.iter().map(part).collect();
        let belongs = self.group.as_ref().is_none_or(|group| *group == key);
        self.met.borrow_mut().insert(key);
        belongs
    }

    /// The owner's teams, by name.
    fn teams(&self, attributes: &Attributes) -> Option<String> {
        let owner = attributes.owner?;
        let mut teams = self.log.teams();
        teams.retain(|(_, team)| self.log.members(*team, self.at).contains(&owner));
        teams.sort();
        let ids: Vec<String> = teams.into_iter().map(|(_, team)| team.to_string()).collect();
        (!ids.is_empty()).then(|| ids.join(","))
    }

    pub(super) fn month(&self, at: i64) -> String {
        self.zone.day_of(Timestamp::from_micros(at).unwrap()).format("%Y-%m").to_string()
    }

    fn named(&self, by: By, id: Option<String>) -> GroupKey {
        let team_name = |id: &str| {
            let team: TeamId = val(id);
            self.log.teams().into_iter().find(|(_, found)| *found == team).unwrap().0
        };
        let name = id.as_deref().and_then(|id| match by {
            By::Owner => self.log.user_name(val(id)),
            By::Team => Some(id.split(',').map(team_name).collect::<Vec<_>>().join(" + ")),
            By::Customer => self.log.customer_name(val(id), self.at),
            By::Source | By::Month => Some(id.to_owned()),
            By::Campaign => None,
        });
        GroupKey { by, id, name }
    }
}
