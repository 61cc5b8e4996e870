//! Numbers made from numbers: percentiles, medians, and ratios within a round.

/// The middle of some values, with the quarters of them below and above.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) middle: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().filter(|it| it.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        Some(Spread {
            low: percentile(&values, 25.0)?,
            middle: percentile(&values, 50.0)?,
            high: percentile(&values, 75.0)?,
        })
    }

    /// Of the quotients of values that belong together, one pair a round.
    pub(crate) fn of_ratios(over: &[f64], under: &[f64]) -> Option<Spread> {
        Spread::of(over.iter().zip(under).map(|(over, under)| over / under))
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Spread { low, middle, high } = self;
        write!(f, "{middle:.2} [{low:.2}, {high:.2}]")
    }
}

/// The value below which so many of 100 sorted values are.
pub(crate) fn percentile<T: Copy>(sorted: &[T], percent: f64) -> Option<T> {
    let last = sorted.len().checked_sub(1)?;
    let place = (percent / 100.0 * last as f64).round() as usize;
    sorted.get(place).copied()
}
