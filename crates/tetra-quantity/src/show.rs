//! Quantity to text: three or four significant digits and the prefix a reader expects.

use crate::quantity::Quantity;
use crate::text::parse_quantity;
use crate::time::{DAY_S, HOUR_S};

const STEPS: [(&str, f64); 10] =
    [("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0), ("m", 1e-3), ("u", 1e-6), ("n", 1e-9)];
/// Longer symbols are words ("tokens"): a prefix stands apart from them, and only above a million.
const LONGEST_ABBREVIATION: usize = 3;
const TIME: &str = "s";
/// Units of times that nobody says in thousands of seconds.
const LONG_TIMES: [(&str, f64); 3] = [("days", DAY_S), ("h", HOUR_S), ("min", 60.0)];
const MONEY: &str = "USD";
const WORD_UNPREFIXED: f64 = 1e6;
const SMALLEST: (&str, f64) = ("p", 1e-12);

/// A number with about four significant digits, thousands grouped by a thin comma.
pub fn show_number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    match size {
        s if !(1e-3..1e15).contains(&s) => format!("{value:.3e}"),
        s if s >= 1000.0 => group(value.round()),
        s if s >= 100.0 => trim(format!("{value:.1}")),
        s if s >= 10.0 => trim(format!("{value:.2}")),
        s if s >= 1.0 => trim(format!("{value:.3}")),
        _ => trim(format!("{value:.4}")),
    }
}

fn trim(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn group(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut out = String::from(if value < 0.0 { "-" } else { "" });
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// The value of a `Q` with a sensible prefix: `3.35 TB/s`, `814 mm2`, `30 ms`.
pub fn show_scaled<Q: Quantity>(value: f64) -> String {
    let size = value.abs();
    if !Q::PREFIXED || size == 0.0 || !size.is_finite() {
        return plain::<Q>(value);
    }
    if let Some((unit, factor)) = LONG_TIMES.iter().find(|&&(_, factor)| Q::SYMBOL == TIME && size >= factor) {
        return format!("{} {unit}", show_number(value / factor));
    }
    let (prefix, step) = STEPS.iter().copied().find(|&(_, step)| size >= step).unwrap_or(SMALLEST);
    let word = Q::SYMBOL == MONEY || (Q::SYMBOL.starts_with(char::is_lowercase) && Q::SYMBOL.len() > LONGEST_ABBREVIATION);
    if !word {
        return format!("{} {prefix}{}", show_number(value / step), Q::SYMBOL);
    }
    if size < WORD_UNPREFIXED {
        return plain::<Q>(value);
    }
    let prefix = if Q::SYMBOL == MONEY && prefix == "G" { "bn" } else { prefix };
    format!("{} {prefix} {}", show_number(value / step), Q::SYMBOL)
}

/// Shares of one are percentages, so that a column of them reads in one unit.
const SHARE: (&str, f64) = ("%", 0.01);

fn plain<Q: Quantity>(value: f64) -> String {
    let (unit, factor) = SHARE;
    if Q::SYMBOL == "1" && (factor * factor..=1.0).contains(&value.abs()) {
        return format!("{} {unit}", show_number(value / factor));
    }
    let readable = |f: f64| (0.1..10_000.0).contains(&(value.abs() / f));
    let (unit, factor) = std::iter::once((Q::SYMBOL, 1.0))
        .chain(Q::UNITS.iter().copied())
        .find(|&(u, f)| !u.is_empty() && readable(f))
        .unwrap_or((Q::SYMBOL, 1.0));
    let unit = if unit == "1" { "" } else { unit };
    format!("{} {unit}", show_number(value / factor)).trim_end().to_owned()
}

/// A text with a unit that reads back as exactly this value: the shortest of those with a number from 1 to 1000, else of all.
pub fn exact_text<Q: Quantity>(value: f64) -> String {
    let prefixed = STEPS.iter().filter(|_| Q::PREFIXED).map(|&(prefix, step)| (format!("{prefix}{}", Q::SYMBOL), step));
    let others = Q::UNITS.iter().filter(|(unit, _)| !unit.is_empty()).map(|&(unit, factor)| (unit.to_owned(), factor));
    let all = std::iter::once((Q::SYMBOL.to_owned(), 1.0)).chain(prefixed).chain(others);
    let texts = all.map(|(unit, factor)| (!(1.0..1e3).contains(&(value / factor).abs()), format!("{} {unit}", value / factor)));
    let exact = texts.filter(|(_, t)| parse_quantity::<Q>(t).is_ok_and(|q| q.value().to_bits() == value.to_bits()));
    let best = exact.min_by_key(|(far, t)| (*far, t.len()));
    best.map_or_else(|| format!("{value} {}", Q::SYMBOL), |(_, text)| text)
}
