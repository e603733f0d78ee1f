//! Rules of a study on suppliers and export, read from `[supply]` and `[export]`.

use tetra_foundry::ExportClass;

use crate::problem::Problems;
use crate::section::{Section, number_of, table_of};
use crate::study::SupplyRules;

/// Stages whose orders a rule can share out, in the order of the flow.
pub(crate) const STAGES: [&str; 5] = ["wafer", "hbm", "packaging", "test", "server"];
/// Classes that `largest_class` may name: chips of the next one need a licence.
const CLASSES: [ExportClass; 2] = [ExportClass::None, ExportClass::B];

/// Reads `[supply]`.
pub(crate) fn read_supply(mut s: Section<'_, '_>, problems: &mut Problems) -> SupplyRules {
    let mut rules = SupplyRules::default();
    if s.has("countries") {
        let named = s.texts("countries", "[\"TW\", \"US\"]", problems).unwrap_or_default();
        if named.is_empty() {
            problems.add(s.place.clone(), "`countries` names no country", "name at least one, or remove the line");
        }
        rules.countries = Some(named.into_iter().map(|(name, _)| name).collect());
    }
    if let Some(shares) = table_of("supply.largest_share_of_a_country", s.get("largest_share_of_a_country"), problems) {
        for (stage, place, value) in shares.entries() {
            let share = number_of(stage, value, 0.0..=1.0, problems);
            match STAGES.iter().find(|known| **known == stage) {
                Some(known) => rules.largest_share.extend(share.map(|share| ((*known).to_owned(), share))),
                None => problems.add(place, format!("`{stage}` is no stage of supply"), format!("stages are {}", STAGES.join(", "))),
            }
        }
    }
    s.finish(problems);
    rules
}

/// The class that a rule stops at, by its word.
pub(crate) fn class_of(word: &str) -> Option<ExportClass> {
    CLASSES.into_iter().find(|class| class.word() == word)
}

/// Reads `[export]`.
pub(crate) fn read_export(mut s: Section<'_, '_>, problems: &mut Problems) -> Option<ExportClass> {
    let named = s.text("largest_class", "\"3A090.b\"", problems);
    s.finish(problems);
    let (text, place) = named?;
    let found = class_of(&text);
    if found.is_none() {
        let known = CLASSES.map(ExportClass::word).join(" or ");
        let mend = format!("write {known}; without [export] no rule is kept");
        problems.add(place, format!("`largest_class` \"{text}\" is no class that a rule can stop at"), mend);
    }
    found
}
