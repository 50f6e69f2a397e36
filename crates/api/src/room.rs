//! Room for bytes that are kept in memory for callers: so many together, and half of that for one caller at most.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fair::Share;

/// What is counted.
const UNIT_BYTES: usize = 1024;
/// Callers beyond which those who hold nothing are forgotten.
const CALLERS_MAX: usize = 1_000;

/// Cheap to clone.
#[derive(Clone)]
pub struct Room {
    free: Arc<Semaphore>,
    /// What each caller who holds or awaits something may still have.
    callers: Arc<Mutex<HashMap<Share, Weak<Semaphore>>>>,
    per_caller_max: u32,
}

/// Bytes that were taken; they are given back when this is dropped.
pub(crate) struct Held {
    of_caller: Option<OwnedSemaphorePermit>,
    of_all: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Room for so many bytes.
    pub fn of(bytes_max: usize) -> Self {
        let units = bytes_max.div_ceil(UNIT_BYTES).clamp(2, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let per_caller_max = u32::try_from(units / 2).unwrap_or(u32::MAX);
        Self { free: Arc::new(Semaphore::new(units)), callers: Arc::default(), per_caller_max }
    }

    /// Takes so many bytes, as soon as there is room for them. What is larger than a caller's half takes all of that.
    pub(crate) async fn take(&self, share: Share, bytes: usize) -> Held {
        let units = self.units(bytes);
        // The caller's own first: while it awaits that, it is in nobody's way. They are never closed.
        let of_caller = self.of_caller(share).acquire_many_owned(units).await.ok();
        let of_all = Arc::clone(&self.free).acquire_many_owned(units).await.ok();
        Held { of_caller, of_all }
    }

    /// The same, if there is room now.
    pub(crate) fn try_take(&self, share: Share, bytes: usize) -> Option<Held> {
        let units = self.units(bytes);
        let of_caller = self.of_caller(share).try_acquire_many_owned(units).ok()?;
        let of_all = Arc::clone(&self.free).try_acquire_many_owned(units).ok()?;
        Some(Held { of_caller: Some(of_caller), of_all: Some(of_all) })
    }

    fn units(&self, bytes: usize) -> u32 {
        units(bytes).min(self.per_caller_max)
    }

    fn of_caller(&self, share: Share) -> Arc<Semaphore> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = callers.get(&share).and_then(Weak::upgrade) {
            return known;
        }
        if callers.len() >= CALLERS_MAX {
            callers.retain(|_, caller| caller.strong_count() > 0);
        }
        let new = Arc::new(Semaphore::new(self.per_caller_max as usize));
        callers.insert(share, Arc::downgrade(&new));
        new
    }
}

impl Held {
    /// Gives back what is beyond so many bytes.
    pub(crate) fn keep(&mut self, bytes: usize) {
        for permit in [&mut self.of_caller, &mut self.of_all].into_iter().flatten() {
            let beyond = permit.num_permits().saturating_sub(units(bytes) as usize);
            drop(permit.split(beyond));
        }
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const KIB: usize = 1024;

    fn share(number: u8) -> Share {
        Share::Address(Some([192, 0, 2, number].into()))
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_room_for_so_much_together_and_it_is_given_back() {
        let room = Room::of(100 * KIB);
        let held = [room.try_take(share(1), 50 * KIB), room.try_take(share(2), 40 * KIB)];
        assert!(held.iter().all(Option::is_some));
        assert!(room.try_take(share(3), 11 * KIB).is_none());
        let waits = timeout(Duration::from_secs(1), room.take(share(3), 11 * KIB));
        assert!(waits.await.is_err());
        assert!(room.try_take(share(3), 10 * KIB).is_some(), "who waited and went away holds nothing");
        drop(held);
        assert_eq!(room.free.available_permits(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_has_half_of_it_and_waiting_for_more_is_in_nobodys_way() {
        let room = Room::of(100 * KIB);
        let _held = room.take(share(1), 50 * KIB).await;
        let waiting = tokio::spawn({
            let room = room.clone();
            async move { drop(room.take(share(1), KIB).await) }
        });
        tokio::task::yield_now().await;
        assert!(room.try_take(share(2), 50 * KIB).is_some());
        assert!(!waiting.is_finished());
    }

    #[tokio::test]
    async fn what_turns_out_smaller_gives_back_the_rest_and_what_is_larger_than_a_half_takes_a_half() {
        let room = Room::of(100 * KIB);
        let mut held = room.take(share(1), 1_000 * KIB).await;
        assert_eq!(room.free.available_permits(), 50);
        held.keep(10 * KIB - 1);
        assert_eq!(room.free.available_permits(), 90);
        assert!(room.try_take(share(1), 40 * KIB).is_some());
        held.keep(20 * KIB);
        assert_eq!(room.free.available_permits(), 90);
    }

    #[test]
    fn callers_who_hold_nothing_are_forgotten() {
        let room = Room::of(100 * KIB);
        for address in 0..2 * CALLERS_MAX as u128 {
            let share = Share::Address(Some(std::net::Ipv6Addr::from_bits(address << 64).into()));
            assert!(room.try_take(share, KIB).is_some());
        }
        assert!(room.callers.lock().unwrap().len() <= CALLERS_MAX);
    }
}
