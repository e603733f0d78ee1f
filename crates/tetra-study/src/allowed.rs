//! Places that the export rule leaves to a chip.

use tetra_chip::Chip;
use tetra_foundry::{export_of, needs_licence};

use crate::evaluate::{Misfit, Setting};

/// Names of the candidate sites for which the rule asks a licence.
pub(crate) fn closed_sites<'a>(setting: &Setting<'a>) -> Vec<&'a str> {
    let closed = (0..setting.places.len()).filter(|&p| is_closed(setting, p));
    closed.map(|p| setting.places[p].site.name.as_str()).collect()
}

/// Whether the rule asks a licence for a candidate site.
pub(crate) fn is_closed(setting: &Setting<'_>, place: usize) -> bool {
    let site = setting.places[place].site;
    needs_licence(&site.export_groups) || setting.inputs.happening.home.as_ref().is_some_and(|home| site.country != *home)
}

/// Places where each part of a fleet of this chip may stand: those of the part's data, less those that the export rule closes to the chip.
///
/// # Errors
/// A part that no place is left to.
pub(crate) fn allowed(chip: &Chip, setting: &Setting<'_>) -> Result<Vec<Vec<usize>>, Misfit> {
    let all = &setting.asks.allowed;
    let Some(largest) = setting.study.export else { return Ok(all.clone()) };
    let class = export_of(chip, &setting.inputs.constants.foundry.export).class;
    if class <= largest {
        return Ok(all.clone());
    }
    let closed = |place: &usize| is_closed(setting, *place);
    let open = |(part, places): (usize, &Vec<usize>)| -> Result<Vec<usize>, Misfit> {
        let left: Vec<usize> = places.iter().copied().filter(|p| !closed(p)).collect();
        match places.first() {
            Some(&place) if left.is_empty() => Err(Misfit::Export { part, place, class }),
            _ => Ok(left),
        }
    };
    all.iter().enumerate().map(open).collect()
}
