//! The declared grid of custom chips: every combination of the values of its axes, numbered in mixed radix, the last axis fastest.

use std::collections::BTreeMap;
use std::ops::Range;

use tetra_chip::template::Design;
use tetra_quantity::{Bytes, BytesPerSecond, Hertz, Quantity, parse_quantity, toml_words};
use toml::de::{DeTable, DeValue};

use crate::problem::{Problems, StudyError};
use crate::study::Search;

/// Axes of a grid in the order in which they vary, slowest first.
pub const AXES: &[&str] = &[
    "node",
    "dies",
    "cores",
    "arrays_per_core",
    "array_rows",
    "array_columns",
    "lanes",
    "local",
    "global",
    "hbm_kind",
    "hbm_stacks",
    "scale_up",
    "scale_up_domain",
    "clock",
];
/// No search needs more chips.
const MOST_CHIPS: usize = 100_000_000;

/// A grid of custom chips.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grid {
    /// Name.
    pub name: String,
    /// Process nodes.
    pub nodes: Vec<String>,
    /// Dies per package.
    pub dies: Vec<u64>,
    /// Cores, all dies together.
    pub cores: Vec<u64>,
    /// PE arrays per core.
    pub arrays_per_core: Vec<u64>,
    /// Rows of a PE array.
    pub array_rows: Vec<u64>,
    /// Columns of a PE array.
    pub array_columns: Vec<u64>,
    /// Vector lanes per core.
    pub lanes: Vec<u64>,
    /// Scratchpad per core.
    pub local: Vec<Bytes>,
    /// Memory shared by all cores.
    pub global: Vec<Bytes>,
    /// Kinds of HBM.
    pub hbm_kinds: Vec<String>,
    /// Stacks of HBM.
    pub hbm_stacks: Vec<u64>,
    /// Scale-up bandwidth per chip and direction.
    pub scale_up: Vec<BytesPerSecond>,
    /// Chips of a scale-up domain.
    pub scale_up_domain: Vec<u64>,
    /// Clock.
    pub clock: Vec<Hertz>,
}

/// Values of one axis as they stand in the file.
#[derive(Clone)]
struct Axis {
    values: Vec<String>,
    place: Range<usize>,
}

/// Positions on the axes, in the order of `AXES`.
pub type Point = [usize; 14];

impl Grid {
    /// Values on each axis.
    pub fn lengths(&self) -> [usize; 14] {
        [
            self.nodes.len(),
            self.dies.len(),
            self.cores.len(),
            self.arrays_per_core.len(),
            self.array_rows.len(),
            self.array_columns.len(),
            self.lanes.len(),
            self.local.len(),
            self.global.len(),
            self.hbm_kinds.len(),
            self.hbm_stacks.len(),
            self.scale_up.len(),
            self.scale_up_domain.len(),
            self.clock.len(),
        ]
    }

    /// Chips of the grid.
    pub fn size(&self) -> usize {
        self.lengths().iter().fold(1, |n: usize, l| n.saturating_mul(*l))
    }

    /// Where chip `id` stands on each axis.
    pub fn point(&self, mut id: usize) -> Point {
        let lengths = self.lengths();
        let mut point = [0; 14];
        for axis in (0..point.len()).rev() {
            let n = lengths[axis].max(1);
            point[axis] = id % n;
            id /= n;
        }
        point
    }

    /// All chips that differ from chip `id` on one axis.
    pub fn beside(&self, id: usize) -> Vec<usize> {
        let (point, lengths) = (self.point(id), self.lengths());
        let mut all = Vec::new();
        let mut step = 1;
        for axis in (0..point.len()).rev() {
            let others = (0..lengths[axis]).filter(|&v| v != point[axis]);
            all.extend(others.map(|v| id - point[axis] * step + v * step));
            step *= lengths[axis].max(1);
        }
        all
    }

    /// Chip `id` as the template takes it.
    pub fn design(&self, id: usize) -> Design {
        let p = self.point(id);
        Design {
            node: self.nodes[p[0]].clone(),
            dies: self.dies[p[1]],
            cores: self.cores[p[2]],
            arrays_per_core: self.arrays_per_core[p[3]],
            array_rows: self.array_rows[p[4]],
            array_columns: self.array_columns[p[5]],
            lanes: self.lanes[p[6]],
            local: self.local[p[7]],
            global: self.global[p[8]],
            hbm_kind: self.hbm_kinds[p[9]].clone(),
            hbm_stacks: self.hbm_stacks[p[10]],
            scale_up: self.scale_up[p[11]],
            scale_up_domain: self.scale_up_domain[p[12]],
            clock: self.clock[p[13]],
            power_cap: None,
        }
    }

    /// Reads the grid that a study names from the text of `grids.toml`, with the axes that the study replaces.
    ///
    /// # Errors
    /// All mistakes.
    pub fn read(file: &str, text: &str, search: &Search) -> Result<Self, StudyError> {
        let mut problems = Problems::default();
        let (root, errors) = DeTable::parse_recoverable(text);
        for e in &errors {
            problems.add(e.span().unwrap_or(0..0), format!("not valid TOML: {}", toml_words(e)), "correct the line");
        }
        if !errors.is_empty() {
            return Err(StudyError::new(file, text, problems.0));
        }
        let tables: Vec<&str> = root.get_ref().keys().map(|k| k.get_ref().as_ref()).collect();
        let named = root.get_ref().iter().find(|(k, _)| k.get_ref().as_ref() == search.grid);
        let Some((place, named)) = named.and_then(|(k, v)| Some((k.span(), v.get_ref().as_table()?))) else {
            problems.add(0..0, format!("no grid \"{}\"", search.grid), format!("grids are {}", tables.join(", ")));
            return Err(StudyError::new(file, text, problems.0));
        };
        let mut axes: BTreeMap<String, Axis> = BTreeMap::new();
        for (key, value) in named {
            let key_text = key.get_ref().as_ref();
            let Some(items) = value.get_ref().as_array().filter(|_| AXES.contains(&key_text)) else {
                problems.add(key.span(), format!("`{key_text}` is no list on an axis"), format!("axes are {}", AXES.join(", ")));
                continue;
            };
            let values = items.iter().map(|v| plain(v.get_ref())).collect();
            axes.insert(key_text.to_owned(), Axis { values, place: key.span() });
        }
        axes.extend(search.axes.iter().map(|(k, v)| (k.clone(), Axis { values: v.clone(), place: place.clone() })));
        let grid = Self::from_axes(&search.grid, &axes, place, &mut problems);
        if problems.0.is_empty() { Ok(grid) } else { Err(StudyError::new(file, text, problems.0)) }
    }

    fn from_axes(name: &str, axes: &BTreeMap<String, Axis>, place: Range<usize>, problems: &mut Problems) -> Self {
        let mut texts = |axis: &'static str| -> Axis {
            let mut found = axes.get(axis).cloned().unwrap_or(Axis { values: Vec::new(), place: place.clone() });
            let mut seen = std::collections::BTreeSet::new();
            found.values.retain(|v| seen.insert(v.clone()));
            if found.values.is_empty() {
                problems.add(found.place.clone(), format!("axis `{axis}` of grid \"{name}\" is empty"), format!("add `{axis} = [ … ]`"));
            }
            found
        };
        let raw: BTreeMap<&'static str, Axis> = AXES.iter().map(|a| (*a, texts(a))).collect();
        let grid = Self {
            name: name.to_owned(),
            nodes: raw["node"].values.clone(),
            dies: counts("dies", &raw["dies"], problems),
            cores: counts("cores", &raw["cores"], problems),
            arrays_per_core: counts("arrays_per_core", &raw["arrays_per_core"], problems),
            array_rows: counts("array_rows", &raw["array_rows"], problems),
            array_columns: counts("array_columns", &raw["array_columns"], problems),
            lanes: counts("lanes", &raw["lanes"], problems),
            local: quantities("local", &raw["local"], problems),
            global: quantities("global", &raw["global"], problems),
            hbm_kinds: raw["hbm_kind"].values.clone(),
            hbm_stacks: counts("hbm_stacks", &raw["hbm_stacks"], problems),
            scale_up: quantities("scale_up", &raw["scale_up"], problems),
            scale_up_domain: counts("scale_up_domain", &raw["scale_up_domain"], problems),
            clock: quantities("clock", &raw["clock"], problems),
        };
        if grid.size() > MOST_CHIPS {
            problems.add(place.clone(), format!("grid \"{name}\" has more than {MOST_CHIPS} chips"), "shorten its axes");
        }
        grid
    }
}

fn plain(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(s) => s.to_string(),
        DeValue::Integer(i) => i.as_str().to_owned(),
        DeValue::Float(f) => f.as_str().to_owned(),
        _ => String::new(),
    }
}

fn counts(axis: &str, given: &Axis, problems: &mut Problems) -> Vec<u64> {
    /// No axis needs a larger count.
    const MOST: u64 = 1 << 24;
    let mut out = Vec::new();
    for v in &given.values {
        match v.parse::<u64>().ok().filter(|n| (1..=MOST).contains(n)) {
            Some(n) => out.push(n),
            None => problems.add(given.place.clone(), format!("`{axis}` holds \"{v}\""), format!("write a whole number from 1 to {MOST}")),
        }
    }
    out
}

fn quantities<Q: Quantity>(axis: &str, given: &Axis, problems: &mut Problems) -> Vec<Q> {
    /// No axis needs more of anything, in its base unit.
    const MOST: f64 = 1e16;
    let mut out = Vec::new();
    for v in &given.values {
        match parse_quantity::<Q>(v) {
            Ok(q) if q.value() > 0.0 && q.value() < MOST => out.push(q),
            Ok(_) => problems.add(given.place.clone(), format!("`{axis}` holds \"{v}\""), format!("write {} above zero", Q::KIND)),
            Err(e) => problems.add(given.place.clone(), format!("`{axis}`: {e}"), format!("write {} such as \"{}\"", Q::KIND, Q::EXAMPLE)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chips_beside_one_differ_from_it_on_one_axis() {
        let axes = [("node", vec!["N5", "N3E"]), ("cores", vec!["64", "128", "192"]), ("clock", vec!["1.2 GHz", "1.6 GHz"])];
        let axes = axes.map(|(a, v)| (a.to_owned(), v.into_iter().map(str::to_owned).collect()));
        let search = Search { grid: "small".to_owned(), axes: axes.into_iter().collect() };
        let grid = Grid::read("study.toml", include_str!("../../../data/grids.toml"), &search).unwrap();
        for id in 0..grid.size() {
            let beside = grid.beside(id);
            assert_eq!(beside.len(), grid.lengths().iter().map(|n| n - 1).sum::<usize>());
            for other in beside {
                let differ = grid.point(id).iter().zip(grid.point(other)).filter(|(a, b)| *a != b).count();
                assert!(other < grid.size() && differ == 1, "{id} {other}");
            }
        }
    }
}
