//! Text to quantity: a number, an optional multiplier word, a unit. `"2 M tokens/s"`, `"3.35 TB/s"`, `"10 %/year"`.

use crate::error::QuantityError;
use crate::quantity::Quantity;

const PREFIXES: [(&str, f64); 11] = [
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("m", 1e-3),
    ("u", 1e-6),
    ("n", 1e-9),
    ("p", 1e-12),
    ("f", 1e-15),
];
const MULTIPLIERS: [(&str, f64); 6] = [("k", 1e3), ("M", 1e6), ("G", 1e9), ("bn", 1e9), ("T", 1e12), ("P", 1e15)];
/// No quantity of any layer needs more text; longer text is refused before it is copied into a message.
const LONGEST: usize = 80;

/// Splits text into its leading number and the trimmed rest. `None` if no number stands there.
pub fn split_number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text
        .char_indices()
        .take_while(|&(i, c)| {
            c.is_ascii_digit()
                || c == '.'
                || c == '_'
                || ((c == '+' || c == '-') && (i == 0 || text[..i].ends_with(['e', 'E'])))
                || ((c == 'e' || c == 'E') && i > 0 && exponent_follows(&text[i + 1..]))
        })
        .map(|(i, c)| i + c.len_utf8())
        .last()?;
    let number = text[..end].replace('_', "").parse().ok()?;
    Some((number, text[end..].trim_start()))
}

fn exponent_follows(rest: &str) -> bool {
    rest.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit())
}

/// Reads text as a quantity of kind `Q`; the value is in its base unit.
///
/// # Errors
/// No number, a number that is not finite, or a unit that is not one of `Q`.
pub fn parse_quantity<Q: Quantity>(text: &str) -> Result<Q, QuantityError> {
    let shown: String = text.chars().take(LONGEST).collect();
    let (number, unit) = split_number(text).ok_or_else(|| QuantityError::NoNumber { text: shown.clone(), example: Q::EXAMPLE.into() })?;
    let factor = unit_factor::<Q>(unit).ok_or_else(|| QuantityError::BadUnit {
        text: shown.clone(),
        unit: unit.chars().take(LONGEST).collect(),
        kind: Q::KIND,
        example: Q::EXAMPLE.into(),
    })?;
    let value = number * factor;
    if value.is_finite() { Ok(Q::from_value(value)) } else { Err(QuantityError::NotFinite { text: shown }) }
}

/// Factor from a unit's text to the base unit of `Q`.
pub(crate) fn unit_factor<Q: Quantity>(unit: &str) -> Option<f64> {
    let unit = unit.trim().replace('µ', "u").replace('²', "2").replace('°', "deg");
    if let Some(factor) = plain_factor::<Q>(&unit) {
        return Some(factor);
    }
    let (word, rest) = unit.split_once(' ')?;
    let multiplier = MULTIPLIERS.iter().find(|(w, _)| *w == word)?.1;
    Some(multiplier * plain_factor::<Q>(rest.trim())?)
}

fn plain_factor<Q: Quantity>(unit: &str) -> Option<f64> {
    if unit == Q::SYMBOL {
        return Some(1.0);
    }
    if let Some((_, factor)) = Q::UNITS.iter().find(|(u, _)| *u == unit) {
        return Some(*factor);
    }
    let prefix = unit.strip_suffix(Q::SYMBOL).filter(|_| Q::PREFIXED)?;
    PREFIXES.iter().find(|(p, _)| *p == prefix).map(|(_, f)| *f)
}

/// Cause of broken TOML in words: the parser's own, save where it speaks of itself.
pub fn toml_words(error: &toml::de::Error) -> String {
    /// Longest cause that is worth reading.
    const LONGEST: usize = 300;
    let cause = error.message();
    if cause.contains("recurs") {
        return "nested too deeply".to_owned();
    }
    cause.replace('\n', ", ").chars().take(LONGEST).collect()
}

/// The type of a TOML value in words: "a whole number".
pub fn toml_kind(value: &toml::de::DeValue<'_>) -> &'static str {
    use toml::de::DeValue;
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Line and cause of broken TOML, on one line: `3: expected "="`.
pub fn toml_cause(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |s| s.start.min(text.len()));
    let line = 1 + text.as_bytes().iter().take(start).filter(|&&b| b == b'\n').count();
    format!("{line}: {}", toml_words(error))
}
