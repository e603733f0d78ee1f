//! What a kind of quantity is: its symbol, its units, its factor to the base unit.

/// What a kind of quantity must tell so that text can be read as it and written from it.
pub trait Quantity: Copy {
    /// What it is, for messages: "a bandwidth".
    const KIND: &'static str;
    /// Symbol of the base unit; SI prefixes may stand before it when `PREFIXED`.
    const SYMBOL: &'static str;
    /// Whether k, M, G, T, P, E, m, u, n, p, f may stand before the symbol.
    const PREFIXED: bool;
    /// Other units: text and factor to the base unit.
    const UNITS: &'static [(&'static str, f64)];
    /// A correct text.
    const EXAMPLE: &'static str;
    /// From the value in the base unit.
    fn from_value(value: f64) -> Self;
    /// The value in the base unit.
    fn value(self) -> f64;
}
