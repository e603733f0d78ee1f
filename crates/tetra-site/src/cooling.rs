//! A year of the cooling plant at a place: power and water per watt of heat, from the distribution of the wet bulb.
//!
//! The wet bulb's quantile function is piecewise linear and keeps three published facts: mean, 99.6th percentile, hours below 18 degC.
//! At each quantile the water of the loop, which returns `range` warmer than needed, passes three coolers in series: a dry one (dry bulb and
//! approach), a tower (wet bulb and approach) and a chiller; each takes the share `(T_before - T_after) / range` of the heat. The chiller has
//! `COP = eta_II * T_e / (T_c - T_e)` (Carnot with a second-law efficiency).
//! Evaporation is heat / latent heat, blowdown is evaporation / (cycles - 1). Leaves out: dry-bulb hours (a constant depression stands for
//! them), part-load curves of chillers, humidity control, altitude, heat reuse.

use tetra_quantity::Celsius;

use crate::constants::CoolingConstants;

/// How heat leaves the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cooling {
    /// Air through heat sinks, air handlers, economiser and chiller.
    Air,
    /// Cold plates and coolant distribution units; air carries the rest.
    Liquid,
}

impl Cooling {
    /// The word used in files and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Air => "air",
            Self::Liquid => "liquid",
        }
    }
}

impl std::fmt::Display for Cooling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// Wet bulb of a place.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct WetBulb {
    /// Mean of the year.
    pub mean: Celsius,
    /// Temperature that is exceeded for 35 hours a year.
    pub design: Celsius,
    /// Share of the hours below the threshold, where known.
    pub below_threshold: Option<f64>,
    /// That threshold.
    pub threshold: Celsius,
    /// Share of the hours below `design`.
    pub design_quantile: f64,
}

impl WetBulb {
    /// Temperature below which the share `p` of the hours lies.
    pub fn quantile(&self, p: f64) -> f64 {
        self.knots().at(p)
    }

    fn knots(&self) -> Knots {
        let (mean, design, top) = (self.mean.value(), self.design.value(), self.design_quantile);
        match self.below_threshold {
            Some(share) if share > 0.0 && share < top && design > self.threshold.value() => {
                let bend = self.threshold.value();
                let rise = (design - bend) / (top - share);
                let upper_mean = bend + rise * (1.0 - share) * 0.5;
                let lower_mean = (mean - (1.0 - share) * upper_mean) / share;
                let lowest = (2.0 * lower_mean - bend).min(bend);
                Knots { share, lowest, bend, rise }
            }
            _ => {
                let rise = ((design - mean) / (top - 0.5)).max(0.0);
                Knots { share: 0.0, lowest: mean, bend: mean - rise * 0.5, rise }
            }
        }
    }
}

/// Two straight pieces of a quantile function that meet at `(share, bend)`.
#[derive(Clone, Copy)]
struct Knots {
    share: f64,
    lowest: f64,
    bend: f64,
    rise: f64,
}

impl Knots {
    fn at(&self, p: f64) -> f64 {
        if p < self.share { self.lowest + (self.bend - self.lowest) * p / self.share } else { self.bend + self.rise * (p - self.share) }
    }
}

/// The plant per watt of heat, over a year and in the hottest hours.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct PlantYear {
    /// Mean power, in watts per watt of heat.
    pub mean_share: f64,
    /// Power at the design wet bulb, in watts per watt of heat.
    pub peak_share: f64,
    /// Of the mean, what chillers draw.
    pub chiller_share: f64,
    /// Share of the heat that needs no chiller.
    pub free_share: f64,
    /// Water, in litres per joule of heat.
    pub litres_per_joule: f64,
}

/// Points of the year at which the plant is evaluated.
const POINTS: u32 = 32;

/// A year of the plant for a loop that must be supplied at `supply`: the coolant of cold plates, or the air of an air-cooled hall.
pub fn plant_year(c: &CoolingConstants, wet_bulb: &WetBulb, cooling: Cooling, supply: Celsius) -> PlantYear {
    let (approach, own) = match cooling {
        Cooling::Air => (c.air_approach_k, c.handler_fan_share),
        Cooling::Liquid => (c.liquid_approach_k, c.distribution_pump_share),
    };
    let fixed = own + c.plant_pump_share + c.rejection_fan_share;
    let need_c = supply.value() - approach - c.exchanger_approach_k;
    let knots = wet_bulb.knots();
    let (mut chiller, mut carried, mut litres) = (0.0, 0.0, 0.0);
    let weight = 1.0 / f64::from(POINTS);
    for i in 0..POINTS {
        let hour = hour(c, need_c, knots.at((f64::from(i) + 0.5) * weight));
        chiller += hour.chiller_share * weight;
        carried += hour.carried * weight;
        litres += hour.litres_per_joule * weight;
    }
    let peak = hour(c, need_c, wet_bulb.design.value());
    PlantYear {
        mean_share: fixed + chiller,
        peak_share: fixed + peak.chiller_share,
        chiller_share: chiller,
        free_share: 1.0 - carried,
        litres_per_joule: litres,
    }
}

/// The plant in one hour.
struct Hour {
    chiller_share: f64,
    carried: f64,
    litres_per_joule: f64,
}

fn hour(c: &CoolingConstants, need_c: f64, wet_bulb_c: f64) -> Hour {
    let share_above = |t: f64| if c.range_k > 0.0 { ((t - need_c) / c.range_k).clamp(0.0, 1.0) } else { f64::from(t > need_c) };
    let wet = share_above(wet_bulb_c + c.depression_k + c.dry_approach_k);
    let tower_c = wet_bulb_c + c.tower_approach_k;
    let carried = share_above(tower_c);
    let chiller_share = if carried > 0.0 { carried / cop(c, need_c, tower_c) } else { 0.0 };
    let evaporated = (wet + chiller_share) / c.vaporisation_j_per_litre;
    let blown_down = if c.concentration_cycles > 1.0 { evaporated / (c.concentration_cycles - 1.0) } else { 0.0 };
    Hour { chiller_share, carried, litres_per_joule: evaporated + blown_down }
}

fn cop(c: &CoolingConstants, need_c: f64, tower_c: f64) -> f64 {
    /// Kelvin of 0 degC.
    const ZERO_C: f64 = 273.15;
    let evaporator = need_c - c.refrigerant_approach_k + ZERO_C;
    let condenser = tower_c + c.refrigerant_approach_k + ZERO_C;
    let lift = condenser - evaporator;
    if lift > 0.0 { (c.chiller_second_law * evaporator / lift).min(c.chiller_cop_max) } else { c.chiller_cop_max }
}
