//! Latencies in buckets narrower than a hundredth of their value.

/// Buckets for each doubling.
const FINE: u64 = 128;
const FINE_BITS: u32 = FINE.trailing_zeros();
const ROWS: u64 = 65 - FINE_BITS as u64;

/// Counts of nanoseconds.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            buckets: (0..ROWS * FINE).map(|_| 0).collect(),
            count: 0,
        }
    }

    pub(crate) fn add(&mut self, ns: u64) {
        let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(FINE_BITS + 1);
        let row = if ns < FINE { 0 } else { u64::from(shift) + 1 };
        let column = if ns < FINE { ns } else { (ns >> shift) - FINE };
        let index = usize::try_from(row * FINE + column).unwrap_or(usize::MAX);
        if let Some(bucket) = self.buckets.get_mut(index) {
            *bucket += 1;
            self.count += 1;
        }
    }

    /// The value that `part` of all lie at or below, in microseconds; 0 when there are none.
    pub(crate) fn percentile_us(&self, part: f64) -> f64 {
        let rank = (part * self.count as f64).ceil().max(1.0);
        let mut seen = 0.0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += *count as f64;
            if rank <= seen {
                return middle(index as u64) / 1_000.0;
            }
        }
        0.0
    }
}

fn middle(index: u64) -> f64 {
    let (row, column) = (index / FINE, index % FINE);
    if row == 0 {
        return column as f64;
    }
    let width = (1_u64 << (row - 1)) as f64;
    (FINE + column) as f64 * width + width / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_within_a_hundredth() {
        let mut histogram = Histogram::new();
        assert!(histogram.percentile_us(0.5) < f64::EPSILON);
        for ns in 1..=100_000 {
            histogram.add(ns);
        }
        histogram.add(u64::MAX);
        for (part, expected) in [(0.001, 0.101), (0.01, 1.0), (0.5, 50.0), (0.99, 99.0)] {
            let got = histogram.percentile_us(part);
            assert!((got / expected - 1.0).abs() < 0.01, "{part}: {got}");
        }
        assert_eq!(histogram.count, 100_001);
    }
}
