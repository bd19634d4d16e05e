//! Days and microseconds since 2000-01-01 against the proleptic Gregorian calendar.

pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
pub const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;
pub const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;
/// Days from 1970-01-01 to 2000-01-01.
pub const UNIX_EPOCH_DAYS: i64 = 10957;
/// Microseconds from 1970-01-01 to 2000-01-01.
pub const UNIX_EPOCH_MICROS: i64 = UNIX_EPOCH_DAYS * MICROS_PER_DAY;
/// Julian day number of 2000-01-01.
pub const JULIAN_EPOCH: i64 = 2_451_545;
/// 4714-11-24 BC, Julian day 0.
const FIRST_DAY: i64 = -JULIAN_EPOCH;
/// The day after 5874897-12-31.
const END_DATE: i64 = 2_147_483_494 - JULIAN_EPOCH;
/// The day after 294276-12-31.
const END_TIMESTAMP_DAY: i64 = 109_203_528 - JULIAN_EPOCH;

/// A civil date and time of day. Year 0 is 1 BC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub micros: i64,
}

/// Days since 2000-01-01 of a civil date; the day may lie outside its month.
pub fn days_of_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let shifted = (month + 9) % 12;
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    let days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    era * 146_097 + days - 719_468 - UNIX_EPOCH_DAYS
}

/// The civil date (year, month, day) of days since 2000-01-01.
pub fn civil_of_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + UNIX_EPOCH_DAYS + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted - era * 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The civil date and time of microseconds since 2000-01-01.
pub fn split_timestamp(micros: i64) -> Civil {
    let days = micros.div_euclid(MICROS_PER_DAY);
    let (year, month, day) = civil_of_days(days);
    Civil { year, month, day, ..split_time(micros.rem_euclid(MICROS_PER_DAY)) }
}

/// The time of day of microseconds since midnight.
pub fn split_time(micros: i64) -> Civil {
    Civil {
        hour: micros / MICROS_PER_HOUR,
        minute: micros / MICROS_PER_MINUTE % 60,
        second: micros / MICROS_PER_SECOND % 60,
        micros: micros % MICROS_PER_SECOND,
        ..Civil::default()
    }
}

impl Civil {
    pub fn time_micros(&self) -> i64 {
        self.hour * MICROS_PER_HOUR
            + self.minute * MICROS_PER_MINUTE
            + self.second * MICROS_PER_SECOND
            + self.micros
    }

    pub fn days(&self) -> i64 {
        days_of_civil(self.year, self.month, self.day)
    }

    /// Microseconds since 2000-01-01; `None` outside a timestamp's range.
    pub fn timestamp(&self) -> Option<i64> {
        let micros = self.days().checked_mul(MICROS_PER_DAY)?.checked_add(self.time_micros())?;
        Some(micros).filter(|micros| timestamp_is_valid(*micros))
    }
}

pub fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

pub fn date_is_valid(days: i64) -> bool {
    (FIRST_DAY..END_DATE).contains(&days)
}

pub fn timestamp_is_valid(micros: i64) -> bool {
    (FIRST_DAY * MICROS_PER_DAY..END_TIMESTAMP_DAY * MICROS_PER_DAY).contains(&micros)
}

/// Day of the week, Sunday 0.
pub fn day_of_week(days: i64) -> i64 {
    (days + 6).rem_euclid(7)
}

/// Day of the year from 1.
pub fn day_of_year(year: i64, month: i64, day: i64) -> i64 {
    days_of_civil(year, month, day) - days_of_civil(year, 1, 1) + 1
}

/// ISO 8601 year and week of a date.
pub fn iso_week(days: i64) -> (i64, i64) {
    // The Thursday of a week decides its year.
    let thursday = days - (day_of_week(days) + 6) % 7 + 3;
    let (year, month, day) = civil_of_days(thursday);
    (year, (day_of_year(year, month, day) - 1) / 7 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_round_trips_over_the_whole_range() {
        assert_eq!(days_of_civil(2000, 1, 1), 0);
        assert_eq!(days_of_civil(-4713, 11, 24), FIRST_DAY);
        assert_eq!(days_of_civil(5874898, 1, 1), END_DATE);
        assert_eq!(days_of_civil(294277, 1, 1), END_TIMESTAMP_DAY);
        for days in (FIRST_DAY..END_DATE).step_by(99_991) {
            let (year, month, day) = civil_of_days(days);
            assert_eq!(days_of_civil(year, month, day), days);
        }
        assert_eq!(day_of_week(0), 6);
        assert_eq!(iso_week(days_of_civil(2021, 1, 3)), (2020, 53));
        assert_eq!(iso_week(days_of_civil(2021, 1, 4)), (2021, 1));
    }
}
