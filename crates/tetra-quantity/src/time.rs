//! Lengths of time in seconds; a year is a Julian year of 365.25 days.

/// Seconds in an hour.
pub const HOUR_S: f64 = 3600.0;
/// Seconds in a day.
pub const DAY_S: f64 = 24.0 * HOUR_S;
/// Seconds in a year.
pub const YEAR_S: f64 = 365.25 * DAY_S;
/// Months in a year.
pub const MONTHS_PER_YEAR: f64 = 12.0;
/// Seconds in a month, a twelfth of a year.
pub const MONTH_S: f64 = YEAR_S / MONTHS_PER_YEAR;
