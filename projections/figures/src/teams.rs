//! In which teams users were, at any instant.

use rustc_hash::FxHashMap;

use crate::{definitions::Cut, image::Image, names::Name};

/// The number of a set of teams; 0 is the empty one.
pub(crate) type TeamSet = u32;

/// For each user, the sets of teams that they were in, one after another.
pub(crate) struct TeamsOfUsers {
    /// By the user's name: from when on, which set. The first counts before it, too.
    by_user: Vec<Vec<(i64, TeamSet)>>,
    pub(crate) sets: Vec<Vec<Name>>,
}

impl TeamsOfUsers {
    /// As was known at a position.
    pub(crate) fn new(image: &Image, position: u32) -> Self {
        let mut numbers: FxHashMap<Vec<Name>, TeamSet> = FxHashMap::default();
        let mut sets = vec![Vec::new()];
        numbers.insert(Vec::new(), 0);
        let mut by_user = Vec::with_capacity(image.users.len());
        for (user, _) in image.users.iter() {
            let mut of_user: Vec<(i64, TeamSet)> = Vec::new();
            for at in std::iter::once(i64::MIN).chain(image.memberships.changes_of(user)) {
                let teams = image.memberships.teams(user, Cut { at, position });
                let number = *numbers.entry(teams).or_insert_with_key(|teams| {
                    sets.push(teams.clone());
                    u32::try_from(sets.len() - 1).unwrap_or(u32::MAX)
                });
                if of_user.last().is_none_or(|(_, last)| *last != number) {
                    of_user.push((at, number));
                }
            }
            by_user.push(of_user);
        }
        Self { by_user, sets }
    }

    /// The teams that a deal's owner was in.
    pub(crate) fn of(&self, owner: Option<Name>, at: i64) -> TeamSet {
        let Some(of_user) = owner.and_then(|owner| self.by_user.get(owner.index())) else { return 0 };
        let begun = of_user.partition_point(|(from, _)| *from <= at);
        of_user.get(begun.saturating_sub(1)).map_or(0, |(_, set)| *set)
    }

    /// Whether a set has one of these teams.
    pub(crate) fn has_any(&self, set: TeamSet, teams: &[Name]) -> bool {
        self.sets.get(set as usize).is_some_and(|found| found.iter().any(|team| teams.contains(team)))
    }
}
