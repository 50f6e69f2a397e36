//! Something counted for each stage.

use crate::names::Name;

/// A count for each stage that has one.
#[derive(Debug, Clone)]
pub(crate) struct ByStage<T> {
    /// For each stage, by name: its place in `counted`, from 1, or 0 if nothing was counted. Ends with the last stage counted.
    places: Vec<u32>,
    counted: Vec<T>,
}

impl<T> Default for ByStage<T> {
    fn default() -> Self {
        Self { places: Vec::new(), counted: Vec::new() }
    }
}

impl<T: Default> ByStage<T> {
    pub(crate) fn at(&mut self, stage: Name) -> &mut T {
        if self.place(stage).is_none() {
            self.begin(stage);
        }
        let place = self.place(stage).unwrap_or(0);
        // Either found, or just begun.
        #[expect(clippy::indexing_slicing)]
        &mut self.counted[place]
    }

    #[cold]
    fn begin(&mut self, stage: Name) {
        if self.places.len() <= stage.index() {
            self.places.resize(stage.index() + 1, 0);
        }
        self.counted.push(T::default());
        if let Some(place) = self.places.get_mut(stage.index()) {
            *place = u32::try_from(self.counted.len()).unwrap_or(u32::MAX);
        }
    }

    fn place(&self, stage: Name) -> Option<usize> {
        (*self.places.get(stage.index())? as usize).checked_sub(1)
    }

    pub(crate) fn get(&self, stage: Name) -> Option<&T> {
        self.counted.get(self.place(stage)?)
    }

    pub(crate) fn take(&mut self, stage: Name) -> T {
        let counted = self.place(stage).and_then(|place| self.counted.get_mut(place));
        counted.map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn merge(&mut self, mut other: Self, merge: impl Fn(&mut T, T)) {
        for index in 0..other.places.len() {
            if let Some(stage) = Name::at(index).filter(|stage| other.place(*stage).is_some()) {
                merge(self.at(stage), other.take(stage));
            }
        }
    }
}
