//! Something counted for each stage.

use crate::names::Name;

/// What was counted of each stage that anything was counted of. Stages are few: looking through them beats hashing.
#[derive(Debug, Clone)]
pub(crate) struct ByStage<T>(Vec<(Name, T)>);

impl<T> Default for ByStage<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> ByStage<T> {
    pub(crate) fn at(&mut self, stage: Name) -> &mut T {
        let found = self.0.iter().position(|(found, _)| *found == stage);
        let index = found.unwrap_or_else(|| {
            self.0.push((stage, T::default()));
            self.0.len() - 1
        });
        // Either found, or just pushed.
        #[expect(clippy::indexing_slicing)]
        &mut self.0[index].1
    }

    pub(crate) fn get(&self, stage: Name) -> Option<&T> {
        self.0.iter().find(|(found, _)| *found == stage).map(|(_, counted)| counted)
    }

    pub(crate) fn take(&mut self, stage: Name) -> T {
        self.0
            .iter_mut()
            .find(|(found, _)| *found == stage)
            .map(|(_, counted)| std::mem::take(counted))
            .unwrap_or_default()
    }

    pub(crate) fn merge(&mut self, other: Self, merge: impl Fn(&mut T, T)) {
        for (stage, counted) in other.0 {
            merge(self.at(stage), counted);
        }
    }
}
