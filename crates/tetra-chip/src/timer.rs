//! A chip with its constants behind a memo: the same op is mapped once; a draw of constants prices the mapping anew.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use tetra_workload::Op;

use crate::chip::Chip;
use crate::constants::ChipConstants;
use crate::cost::{OpCost, OpTimer};
use crate::mapper::map;
use crate::mapping::Mapping;
use crate::timing::{Rates, cost_at};

/// The multiply-rotate hash of Firefox and rustc: fixed, the same on every run.
#[derive(Debug, Clone, Copy, Default)]
pub struct FixedHasher(u64);

impl FixedHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for FixedHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.add(u64::from(b));
        }
    }
    fn write_u8(&mut self, i: u8) {
        self.add(u64::from(i));
    }
    fn write_u32(&mut self, i: u32) {
        self.add(u64::from(i));
    }
    fn write_u64(&mut self, i: u64) {
        self.add(i);
    }
    fn write_usize(&mut self, i: usize) {
        self.add(i as u64);
    }
    fn write_isize(&mut self, i: isize) {
        self.add(i as u64);
    }
}

/// The state for a hash map with that hasher.
pub type FixedState = BuildHasherDefault<FixedHasher>;

/// Mappings by op, kept across draws of constants. The key is the op: one store serves one chip structure.
pub type MappingStore = HashMap<Op, Mapping, FixedState>;

/// Times ops on one chip.
#[derive(Debug)]
pub struct Timer<'a> {
    chip: &'a Chip,
    rates: Rates<'a>,
    costs: RefCell<HashMap<Op, OpCost, FixedState>>,
    mappings: RefCell<MappingStore>,
    keep: bool,
}

impl<'a> Timer<'a> {
    /// A timer that remembers costs only.
    pub fn new(chip: &'a Chip, constants: &'a ChipConstants) -> Self {
        Self { chip, rates: Rates::of(chip, constants), costs: RefCell::default(), mappings: RefCell::default(), keep: false }
    }

    /// A timer that also remembers mappings, starting from those of an earlier one of the same chip structure.
    pub fn with_mappings(chip: &'a Chip, constants: &'a ChipConstants, mappings: MappingStore) -> Self {
        Self { chip, rates: Rates::of(chip, constants), costs: RefCell::default(), mappings: RefCell::new(mappings), keep: true }
    }

    /// The mappings found so far.
    pub fn into_mappings(self) -> MappingStore {
        self.mappings.into_inner()
    }

    /// The chip.
    pub fn chip(&self) -> &Chip {
        self.chip
    }

    /// Ops remembered.
    pub fn remembered(&self) -> usize {
        self.costs.borrow().len()
    }

    fn find(&self, op: &Op) -> OpCost {
        if !self.keep {
            return cost_at(&map(op, self.chip), op, &self.rates);
        }
        let mut mappings = self.mappings.borrow_mut();
        let mapping = mappings.entry(*op).or_insert_with(|| map(op, self.chip));
        cost_at(mapping, op, &self.rates)
    }
}

impl OpTimer for Timer<'_> {
    fn cost(&self, op: &Op) -> OpCost {
        if let Some(found) = self.costs.borrow().get(op) {
            return *found;
        }
        let cost = self.find(op);
        self.costs.borrow_mut().insert(*op, cost);
        cost
    }
}
