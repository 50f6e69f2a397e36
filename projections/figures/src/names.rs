//! Small numbers for ids and texts, so that a step takes few bytes and a comparison is one of integers.

use std::{hash::Hash, num::NonZeroU32};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Stands for an id or a text. What it stands for, the [`Names`] that gave it know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name(NonZeroU32);

impl Name {
    /// Its place among all that were given, from 0.
    pub(crate) fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// The name of such a place.
    pub(crate) fn at(index: usize) -> Option<Self> {
        u32::try_from(index + 1).ok().and_then(NonZeroU32::new).map(Self)
    }
}

/// All that was named of one kind, in the order in which it first came.
#[derive(Debug, Clone)]
pub(crate) struct Names<T> {
    values: Vec<T>,
    names: FxHashMap<T, Name>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { values: Vec::new(), names: FxHashMap::default() }
    }
}

impl<T: Hash + Eq + Clone> Names<T> {
    /// The name of a value, which is given one if it has none. A log cannot hold 2^32 values of a kind that would fit in memory;
    /// whatever came after that many would share the last name.
    pub(crate) fn name(&mut self, value: &T) -> Name {
        if let Some(name) = self.names.get(value) {
            return *name;
        }
        self.values.push(value.clone());
        let name = Name::at(self.values.len() - 1).unwrap_or(Name(NonZeroU32::MAX));
        self.names.insert(value.clone(), name);
        name
    }

    /// The name of a value that was named before.
    pub(crate) fn find(&self, value: &T) -> Option<Name> {
        self.names.get(value).copied()
    }

    /// What a name stands for.
    pub(crate) fn value(&self, name: Name) -> Option<&T> {
        self.values.get(name.index())
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// All of them, each with its name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Name, &T)> {
        self.values.iter().enumerate().filter_map(|(index, value)| Some((Name::at(index)?, value)))
    }
}

impl<T: Serialize> Serialize for Names<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de> + Hash + Eq + Clone> Deserialize<'de> for Names<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut names = Self::default();
        for value in Vec::<T>::deserialize(deserializer)? {
            names.name(&value);
        }
        Ok(names)
    }
}
