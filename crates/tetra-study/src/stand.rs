//! Where machines stand and what one of them costs there.
//!
//! Parts of a fleet that a rule confines choose first, then the others; each takes the cheapest chip-hour among its sites until a site's power
//! is used up. Power is that of the month with most chips. One machine's money is the mean over chip-months. Leaves out: moving later.

use tetra_chip::Chip;
use tetra_quantity::{Celsius, Usd, Watts};
use tetra_site::{
    ChipHour, ChipPower, Finance, Machine, MachineCost, OpexItem, PlantYear, PriceBasis, Site, SiteConstants, at_plant, machine_cost,
    plants,
};

use crate::estimate::Unit;

/// A candidate site and the power it may use.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The site.
    pub site: &'a Site,
    /// Power from the grid, if limited.
    pub cap: Option<Watts>,
}

/// One service's or training run's share of a fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Chips by month, spares included.
    pub chips: Vec<f64>,
    /// Power of a chip at its work.
    pub power: ChipPower,
    /// Indices of the places where it may stand.
    pub allowed: Vec<usize>,
}

impl Part {
    /// Chips in the month with most.
    pub fn most(&self) -> f64 {
        self.chips.iter().copied().fold(0.0, f64::max)
    }
}

/// Chips of one part at one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Stand {
    /// Index of the part.
    pub part: usize,
    /// Index of the place.
    pub place: usize,
    /// Chips in the month with most.
    pub chips: f64,
    /// Money and watts of one.
    pub hour: ChipHour,
}

/// Where a fleet stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Mean over chip-months.
    pub unit: Unit,
    /// Who stands where.
    pub stands: Vec<Stand>,
}

/// A chip as it is bought.
#[derive(Debug, Clone, Copy)]
pub struct Bought<'a> {
    /// The chip.
    pub chip: &'a Chip,
    /// Its price.
    pub price: Usd,
    /// What the price holds.
    pub basis: PriceBasis,
    /// Carbon of making it, kg.
    pub kg_embodied: f64,
    /// Chips in one server.
    pub chips_per_server: u64,
}

/// Why a fleet cannot stand anywhere.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StandMisfit {
    /// The machine fits no rack.
    #[error("{0}")]
    Machine(#[from] tetra_site::Misfit),
    /// The sites are full.
    #[error("the candidate sites lack {watts} for {part}: raise a cap or name another site")]
    Full {
        /// Which part.
        part: String,
        /// Power missing.
        watts: Watts,
    },
}

/// Stands a fleet at the cheapest places.
///
/// # Errors
/// A machine that fits no rack, or sites without enough power.
pub fn stand(
    bought: &Bought<'_>,
    parts: &[Part],
    places: &[Place<'_>],
    finance: &Finance,
    c: &SiteConstants,
) -> Result<Standing, StandMisfit> {
    let cluster = parts.iter().map(Part::most).sum::<f64>().clamp(1.0, 1e9) as u64;
    let left = places.iter().map(|p| p.cap.map_or(f64::INFINITY, |w| w.value())).collect();
    let mut ground = Ground { places, finance, c, left, stands: Vec::new(), plants: vec![None; places.len()] };
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&i| (parts[i].allowed.len(), i));
    for i in order {
        let machine = Machine::of(bought.chip, bought.price, bought.basis, parts[i].power, bought.chips_per_server, cluster, c);
        ground.place(i, &parts[i], &machine)?;
    }
    let unit = mean_unit(bought, parts, &ground.stands);
    Ok(Standing { unit, stands: ground.stands })
}

/// Places being filled.
struct Ground<'a> {
    places: &'a [Place<'a>],
    finance: &'a Finance,
    c: &'a SiteConstants,
    /// Watts that each place has left.
    left: Vec<f64>,
    stands: Vec<Stand>,
    /// A year of each place's plant, with the share and the temperature of liquid that it was worked out for.
    plants: Vec<Option<(f64, Celsius, PlantYear)>>,
}

impl Ground<'_> {
    /// A year of a place's plant: parts of one fleet differ in power, seldom in their loops.
    fn plant(&mut self, place: usize, machine: &MachineCost) -> PlantYear {
        let loops = (machine.liquid_share, machine.supply);
        match self.plants[place] {
            Some((share, supply, plant)) if (share, supply) == loops => plant,
            _ => {
                let plant = plants(machine, self.places[place].site, self.c);
                self.plants[place] = Some((loops.0, loops.1, plant));
                plant
            }
        }
    }

    /// Stands a part at the cheapest places that it may use.
    fn place(&mut self, index: usize, part: &Part, machine: &Machine) -> Result<(), StandMisfit> {
        let cost = machine_cost(machine, self.c)?;
        let mut hours = Vec::with_capacity(part.allowed.len());
        for &p in &part.allowed {
            let plant = self.plant(p, &cost);
            hours.push((p, at_plant(&cost, &plant, self.places[p].site, self.finance, self.c)?));
        }
        hours.sort_by(|a, b| a.1.usd_per_hour.total_cmp(&b.1.usd_per_hour).then(a.0.cmp(&b.0)));
        let mut open = part.most();
        for (place, hour) in hours {
            let each = hour.facility_peak.value().max(1.0);
            let chips = open.min(self.left[place] / each);
            if chips > 0.0 {
                self.left[place] -= chips * each;
                open -= chips;
                self.stands.push(Stand { part: index, place, chips, hour });
            }
        }
        /// Chips below which a rest is rounding.
        const ROUNDING: f64 = 1e-6;
        if open > ROUNDING * part.most().max(1.0) {
            return Err(StandMisfit::Full { part: part.name.clone(), watts: Watts(open * machine.power.cap.value()) });
        }
        Ok(())
    }
}

fn mean_unit(bought: &Bought<'_>, parts: &[Part], stands: &[Stand]) -> Unit {
    let months = |part: &Part| part.chips.iter().sum::<f64>();
    let weight = |s: &Stand| months(&parts[s.part]) * s.chips / parts[s.part].most().max(f64::MIN_POSITIVE);
    let all: f64 = stands.iter().map(weight).sum();
    let mean =
        |f: &dyn Fn(&ChipHour) -> f64| if all > 0.0 { stands.iter().map(|s| weight(s) * f(&s.hour)).sum::<f64>() / all } else { 0.0 };
    let items: Vec<OpexItem> = stands.first().map_or(Vec::new(), |s| s.hour.opex.parts().iter().map(|p| p.0).collect());
    let opex = items.iter().enumerate().map(|(i, item)| (*item, mean(&|h| h.opex.parts()[i].1.value()))).collect();
    Unit {
        chip_usd: bought.price.value(),
        equipment_usd: mean(&|h| h.capex.it().value()) - bought.price.value(),
        facility_usd: mean(&|h| h.capex.facility.value()),
        opex_usd_per_year: opex,
        it_w: mean(&|h| h.machine.it_peak.value()),
        kg_per_year: mean(&|h| h.kg_co2e_per_year.value()),
        kg_embodied: bought.kg_embodied,
    }
}
