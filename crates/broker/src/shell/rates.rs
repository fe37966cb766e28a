//! How often one address may connect; in version 6, one network of 64 bits.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::core::Rates;

/// Addresses measured at once; beyond that strangers are let in unmeasured, as the bound on
/// handshakes holds anyway.
const ADDRESSES_MAX: usize = 65_536;

/// A rate per address.
#[derive(Debug)]
pub(crate) struct AcceptRates {
    per_s: u32,
    rates: Mutex<Rates<IpAddr>>,
}

impl AcceptRates {
    pub(crate) fn new(per_s: u32) -> Self {
        Self {
            per_s,
            rates: Mutex::new(Rates::new(ADDRESSES_MAX)),
        }
    }

    /// Whether one more connection from `address` is within its rate.
    pub(crate) fn admit(&self, address: IpAddr, now: Instant) -> bool {
        let address = gateway::network(address);
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.take(&address, self.per_s, now)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use model::{Clock, SystemClock};

    use super::*;

    #[test]
    fn each_address_has_its_own_rate_and_the_table_is_bounded() {
        let start = SystemClock.instant();
        let rates = AcceptRates::new(2);
        let address = |number: u32| IpAddr::V4(Ipv4Addr::from_bits(number));
        for (number, expected) in [(1, true), (1, true), (1, false), (2, true)] {
            assert_eq!(rates.admit(address(number), start), expected);
        }
        assert!(rates.admit(address(1), start + Duration::from_millis(500)));
        for number in 3..70_000 {
            assert!(rates.admit(address(number), start));
        }
        let known = || rates.rates.lock().expect("nobody panicked").len();
        assert_eq!(known(), ADDRESSES_MAX);
        assert!(rates.admit(address(80_000), start + Duration::from_secs(3)));
        assert_eq!(known(), 1);
    }
}
