//! Places for connections: so many for all, and so many for one address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Bits of an IPv6 address that are taken as one: who has one address has all that begin so.
const PREFIX_BITS: u32 = 64;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Places {
    max: usize,
    per_address_max: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place, which is free again when this is dropped.
pub(crate) struct Place {
    address: IpAddr,
    taken: Arc<Mutex<Taken>>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// All places are taken.
    All,
    /// All that one address may have.
    Address,
}

impl Full {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Address => "address",
        }
    }
}

impl Places {
    pub(crate) fn new(max: usize, per_address_max: usize) -> Self {
        Self { max, per_address_max, taken: Arc::default() }
    }

    /// A place for a connection from this address; that of `many` has no bound of its own.
    pub(crate) fn take(&self, address: IpAddr, many: bool) -> Result<Place, Full> {
        let address = prefix(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.max {
            return Err(Full::All);
        }
        let of_address = taken.by_address.entry(address).or_default();
        if *of_address >= self.per_address_max && !many {
            return Err(Full::Address);
        }
        *of_address += 1;
        taken.all += 1;
        measure(taken.all);
        Ok(Place { address, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        measure(taken.all);
        if let Some(of_address) = taken.by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a server has no 2^52 connections")]
fn measure(connections: usize) {
    metrics::gauge!("dealog_connections").set(connections as f64);
}

fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << PREFIX_BITS)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_own_places_and_takes_none_of_those_of_others() {
        let places = Places::new(5, 2);
        let take = |address: &str| places.take(address.parse().unwrap(), false);
        let held = [take("192.0.2.1"), take("192.0.2.1")];
        assert_eq!(take("192.0.2.1").err(), Some(Full::Address));
        // The same address in the other notation; and a network that one customer is given.
        assert_eq!(take("::ffff:192.0.2.1").err(), Some(Full::Address));
        let others = [take("2001:db8::1"), take("2001:db8::2")];
        assert!(others.iter().all(Result::is_ok));
        assert_eq!(take("2001:db8::3").err(), Some(Full::Address));
        let last = places.take("192.0.2.1".parse().unwrap(), true);
        assert!(last.is_ok(), "of a proxy");
        assert_eq!(take("192.0.2.3").err(), Some(Full::All));
        drop(held);
        assert!(take("192.0.2.1").is_ok());
    }
}
