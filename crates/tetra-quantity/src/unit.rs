//! SI newtypes over `f64`. Only products that mean something exist: `Bytes / BytesPerSecond = Seconds`.
//!
//! On disk a quantity is text with its unit (`"3.35 TB/s"`); in hot loops the raw value is taken with `.value()`.

use crate::error::QuantityError;
use crate::quantity::Quantity;
use crate::show::show_scaled;
use crate::text::parse_quantity;
use crate::time::{DAY_S, HOUR_S, MONTH_S, MONTHS_PER_YEAR, YEAR_S};

macro_rules! quantities {
    ($($(#[$doc:meta])* $name:ident: $kind:literal, $symbol:literal, $prefixed:literal, [$(($unit:literal, $factor:expr)),*], $example:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
        pub struct $name(pub f64);

        impl Quantity for $name {
            const KIND: &'static str = $kind;
            const SYMBOL: &'static str = $symbol;
            const PREFIXED: bool = $prefixed;
            const UNITS: &'static [(&'static str, f64)] = &[$(($unit, $factor)),*];
            const EXAMPLE: &'static str = $example;
            fn from_value(value: f64) -> Self { Self(value) }
            fn value(self) -> f64 { self.0 }
        }
        impl $name {
            /// Nothing of it.
            pub const ZERO: Self = Self(0.0);
            /// The value in the base unit.
            pub const fn value(self) -> f64 { self.0 }
            /// The larger of the two.
            pub fn max(self, other: Self) -> Self { Self(self.0.max(other.0)) }
            /// The smaller of the two.
            pub fn min(self, other: Self) -> Self { Self(self.0.min(other.0)) }
        }
        impl std::ops::Add for $name { type Output = Self; fn add(self, o: Self) -> Self { Self(self.0 + o.0) } }
        impl std::ops::Sub for $name { type Output = Self; fn sub(self, o: Self) -> Self { Self(self.0 - o.0) } }
        impl std::ops::AddAssign for $name { fn add_assign(&mut self, o: Self) { self.0 += o.0 } }
        impl std::ops::Mul<f64> for $name { type Output = Self; fn mul(self, o: f64) -> Self { Self(self.0 * o) } }
        impl std::ops::Mul<$name> for f64 { type Output = $name; fn mul(self, o: $name) -> $name { $name(self * o.0) } }
        impl std::ops::Div<f64> for $name { type Output = Self; fn div(self, o: f64) -> Self { Self(self.0 / o) } }
        impl std::ops::Div for $name { type Output = f64; fn div(self, o: Self) -> f64 { self.0 / o.0 } }
        impl std::iter::Sum for $name { fn sum<I: Iterator<Item = Self>>(i: I) -> Self { Self(i.map(|x| x.0).sum()) } }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&show_scaled::<Self>(self.0)) }
        }
        impl std::str::FromStr for $name {
            type Err = QuantityError;
            fn from_str(text: &str) -> Result<Self, QuantityError> { parse_quantity::<Self>(text) }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.serialize_f64(self.0) }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

const KIB: f64 = 1024.0;
/// Joules in a kilowatt-hour.
pub const KWH_J: f64 = 3.6e6;

quantities! {
    /// A count of bytes.
    Bytes: "an amount of data", "B", true,
        [("KiB", KIB), ("MiB", KIB * KIB), ("GiB", KIB * KIB * KIB), ("TiB", KIB * KIB * KIB * KIB), ("bit", 0.125), ("Gbit", 0.125e9)], "80 GB";
    /// Bytes per second.
    BytesPerSecond: "a bandwidth", "B/s", true,
        [("GiB/s", KIB * KIB * KIB), ("TiB/s", KIB * KIB * KIB * KIB), ("bit/s", 0.125), ("Mbit/s", 0.125e6), ("Gbit/s", 0.125e9), ("Tbit/s", 0.125e12), ("Gb/s", 0.125e9)], "3.35 TB/s";
    /// Floating-point or integer operations; one multiply-accumulate counts two.
    Flop: "a count of operations", "FLOP", true, [("OP", 1.0)], "15 TFLOP";
    /// Operations per second, dense.
    FlopPerSecond: "a rate of operations", "FLOP/s", true, [("OP/s", 1.0), ("GOP/s", 1e9), ("TOP/s", 1e12)], "989 TFLOP/s";
    /// Seconds.
    Seconds: "a time", "s", true,
        [("min", 60.0), ("h", HOUR_S), ("day", DAY_S), ("days", DAY_S), ("week", 7.0 * DAY_S), ("weeks", 7.0 * DAY_S),
         ("month", MONTH_S), ("months", MONTH_S), ("year", YEAR_S), ("years", YEAR_S)], "30 ms";
    /// Cycles per second.
    Hertz: "a frequency", "Hz", true, [], "1.83 GHz";
    /// Watts.
    Watts: "a power", "W", true, [], "700 W";
    /// Joules.
    Joules: "an energy", "J", true, [("Wh", HOUR_S), ("kWh", KWH_J), ("MWh", 1e3 * KWH_J)], "2 pJ";
    /// Joules per byte moved.
    JoulesPerByte: "an energy per byte", "J/B", true, [("pJ/bit", 8e-12), ("pJ/B", 1e-12)], "3.9 pJ/bit";
    /// Square metres.
    SquareMetres: "an area", "m2", false, [("mm2", 1e-6), ("um2", 1e-12), ("cm2", 1e-4)], "814 mm2";
    /// Metres.
    Metres: "a length", "m", true, [], "26 mm";
    /// United States dollars of the study's currency year.
    Usd: "an amount of money", "USD", true, [("bn USD", 1e9)], "17 kUSD";
    /// Dollars per second.
    UsdPerSecond: "a cost rate", "USD/s", false, [("USD/h", 1.0 / HOUR_S), ("USD/year", 1.0 / YEAR_S), ("USD/month", 1.0 / MONTH_S)], "2.35 USD/h";
    /// Dollars per joule.
    UsdPerJoule: "a price of energy", "USD/J", false, [("USD/kWh", 1.0 / KWH_J), ("USD/MWh", 1e-3 / KWH_J)], "0.07 USD/kWh";
    /// Dollars per watt.
    UsdPerWatt: "a price of power capacity", "USD/W", false, [("USD/kW", 1e-3), ("USD/MW", 1e-6), ("MUSD/MW", 1.0)], "10 MUSD/MW";
    /// Dollars per byte.
    UsdPerByte: "a price of memory", "USD/B", false, [("USD/GB", 1e-9)], "15 USD/GB";
    /// Kilograms of CO2 equivalent.
    KgCo2e: "a mass of CO2e", "kgCO2e", false, [("tCO2e", 1e3), ("ktCO2e", 1e6), ("gCO2e", 1e-3), ("kg CO2e", 1.0), ("g CO2e", 1e-3)], "120 kgCO2e";
    /// Kilograms of CO2 equivalent per joule.
    KgPerJoule: "a carbon intensity", "kgCO2e/J", false, [("gCO2e/kWh", 1e-3 / KWH_J), ("g/kWh", 1e-3 / KWH_J)], "323 gCO2e/kWh";
    /// Degrees Celsius.
    Celsius: "a temperature", "degC", false, [("C", 1.0)], "45 degC";
    /// Kelvin per watt.
    KelvinPerWatt: "a thermal resistance", "K/W", false, [], "0.03 K/W";
    /// Tokens.
    Tokens: "a count of tokens", "tokens", true, [("token", 1.0)], "15 T tokens";
    /// Tokens per second.
    TokensPerSecond: "a rate of tokens", "tokens/s", true, [("token/s", 1.0)], "2 M tokens/s";
    /// A fraction of one.
    Fraction: "a fraction", "1", false, [("", 1.0), ("%", 0.01), ("ratio", 1.0), ("fraction", 1.0)], "10 %";
    /// A fraction per year.
    PerYear: "a rate per year", "1/year", false, [("%/year", 0.01), ("/year", 1.0)], "10 %/year";
    /// Defects per square metre.
    DefectsPerSquareMetre: "a defect density", "1/m2", false, [("/cm2", 1e4), ("1/cm2", 1e4)], "0.1 /cm2";
}

impl PerYear {
    /// What a dollar paid after so many months is worth today at this interest rate.
    pub fn discount(self, months: usize) -> f64 {
        (1.0 + self.0.max(0.0)).powf(-(months as f64) / MONTHS_PER_YEAR)
    }
}

macro_rules! products {
    ($($a:ident / $b:ident = $c:ident;)*) => {$(
        impl std::ops::Div<$b> for $a { type Output = $c; fn div(self, o: $b) -> $c { $c(self.0 / o.0) } }
        impl std::ops::Div<$c> for $a { type Output = $b; fn div(self, o: $c) -> $b { $b(self.0 / o.0) } }
        impl std::ops::Mul<$c> for $b { type Output = $a; fn mul(self, o: $c) -> $a { $a(self.0 * o.0) } }
        impl std::ops::Mul<$b> for $c { type Output = $a; fn mul(self, o: $b) -> $a { $a(self.0 * o.0) } }
    )*};
}

products! {
    Bytes / BytesPerSecond = Seconds;
    Flop / FlopPerSecond = Seconds;
    Joules / Watts = Seconds;
    Joules / JoulesPerByte = Bytes;
    Usd / UsdPerSecond = Seconds;
    Usd / UsdPerJoule = Joules;
    Usd / UsdPerWatt = Watts;
    Usd / UsdPerByte = Bytes;
    KgCo2e / KgPerJoule = Joules;
    Tokens / TokensPerSecond = Seconds;
}
