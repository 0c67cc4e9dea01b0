//! Days, months and years of a time in microseconds since the Unix epoch, UTC. The conversions
//! between days and dates are Howard Hinnant's `days_from_civil` and `civil_from_days`
//! ("chrono-Compatible Low-Level Date Algorithms", 2013).

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A date of the proleptic Gregorian calendar and the time of its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// Microseconds since midnight.
    pub micros: i64,
}

impl Civil {
    /// The date and time of microseconds since the epoch.
    pub(super) fn of(micros: i64) -> Self {
        let days = micros.div_euclid(MICROS_PER_DAY) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        // Years begin in March, so that a leap day is a year's last.
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted + 2) / 5 + 1,
            micros: micros.rem_euclid(MICROS_PER_DAY),
        }
    }

    /// The microseconds since the epoch; `None` where they do not fit.
    pub(super) fn to_micros(self) -> Option<i64> {
        self.days()
            .checked_mul(MICROS_PER_DAY)?
            .checked_add(self.micros)
    }

    fn days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let shifted = (self.month + 9) % 12;
        let day_of_year = (153 * shifted + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    /// 1 for January 1st.
    pub(super) fn day_of_year(self) -> i64 {
        let first = Self {
            month: 1,
            day: 1,
            ..self
        };
        self.days() - first.days() + 1
    }

    /// 0 for Sunday.
    pub(super) fn day_of_week(self) -> usize {
        usize::try_from((self.days() + 4).rem_euclid(7)).unwrap_or(0)
    }

    /// Whether the day is one of its month.
    pub(super) fn is_valid(self) -> bool {
        (1..=12).contains(&self.month)
            && (1..=days_of_month(self.year, self.month)).contains(&self.day)
            && (0..MICROS_PER_DAY).contains(&self.micros)
    }

    /// As many months later; the last day of the month where it has no such day.
    pub(super) fn plus_months(self, months: i64) -> Option<Self> {
        let count = self
            .year
            .checked_mul(12)?
            .checked_add(self.month - 1)?
            .checked_add(months)?;
        let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
        // Beyond this no time in microseconds fits.
        (-300_000..=300_000).contains(&year).then(|| Self {
            year,
            month,
            day: self.day.min(days_of_month(year, month)),
            ..self
        })
    }

    /// Whole months from this to another time.
    pub(super) fn months_until(self, other: Self) -> i64 {
        let months = (other.year * 12 + other.month) - (self.year * 12 + self.month);
        let (own, others) = ((self.day, self.micros), (other.day, other.micros));
        match months {
            1.. if others < own => months - 1,
            ..=-1 if others > own => months + 1,
            _ => months,
        }
    }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_of_four_centuries_comes_back_and_follows_the_one_before() {
        let mut before = Civil::of(-146_097 * MICROS_PER_DAY / 2);
        for day in -73_047..73_050 {
            let civil = Civil::of(day * MICROS_PER_DAY + 5);
            assert!(civil.is_valid(), "{civil:?}");
            assert_eq!(civil.to_micros(), Some(day * MICROS_PER_DAY + 5));
            let next_day = civil.day == before.day + 1 && civil.month == before.month;
            let next_month = civil.day == 1
                && (civil.year * 12 + civil.month) == (before.year * 12 + before.month) + 1;
            assert!(
                next_day || next_month || day == -73_047,
                "{before:?} {civil:?}"
            );
            before = civil;
        }
        let epoch = Civil::of(0);
        assert_eq!((epoch.year, epoch.month, epoch.day), (1970, 1, 1));
        assert_eq!(epoch.day_of_week(), 4);
        assert_eq!(Civil::of(1_709_164_800_000_000).day_of_year(), 60);
    }

    #[test]
    fn months_are_whole_and_keep_to_the_month() {
        let at = |year, month, day| Civil {
            year,
            month,
            day,
            micros: 0,
        };
        assert_eq!(at(2024, 1, 31).plus_months(1), Some(at(2024, 2, 29)));
        assert_eq!(at(2024, 3, 31).plus_months(-13), Some(at(2023, 2, 28)));
        assert_eq!(at(2024, 1, 15).months_until(at(2024, 3, 14)), 1);
        assert_eq!(at(2024, 1, 15).months_until(at(2024, 3, 15)), 2);
        assert_eq!(at(2024, 3, 14).months_until(at(2024, 1, 15)), -1);
        assert_eq!(at(2024, 3, 14).plus_months(i64::MAX), None);
    }
}
