//! The set of known chips, found by any of their names: case, spaces, punctuation, maker names and the words of a data sheet that
//! carry no meaning are ignored.

use std::collections::BTreeMap;

use crate::chip::Chip;
use crate::error::ChipError;

/// Words that a table may or may not write.
const EMPTY_WORDS: [&str; 13] =
    ["nvidia", "amd", "intel", "google", "aws", "instinct", "gpu", "ai", "accelerator", "dlc", "r", "hgx", "blackwell"];

/// Known chips by name.
#[derive(Debug, Clone, Default)]
pub struct ChipSet {
    chips: Vec<Chip>,
    index: BTreeMap<String, usize>,
}

impl ChipSet {
    /// Reads chip files, given as (name, text).
    ///
    /// # Errors
    /// Every mistake of every file, and names that two chips claim.
    pub fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Vec<ChipError>> {
        Self::default().with(files)
    }

    /// The same set with further files; their names take the place of the same names in this set.
    ///
    /// # Errors
    /// Every mistake of every further file, and names that two of them claim.
    pub fn with<'a>(mut self, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Vec<ChipError>> {
        let known = self.chips.len();
        let mut errors = Vec::new();
        for (file, text) in files {
            match Chip::from_toml(file, text) {
                Ok(chip) => self.add(file, chip, known, &mut errors),
                Err(list) => errors.extend(list),
            }
        }
        if errors.is_empty() { Ok(self) } else { Err(errors) }
    }

    fn add(&mut self, file: &str, chip: Chip, known: usize, errors: &mut Vec<ChipError>) {
        let place = self.chips.len();
        for name in std::iter::once(&chip.name).chain(&chip.aliases) {
            let other = self.index.insert(key(name), place);
            if let Some(other) = other.filter(|&o| o != place && o >= known) {
                errors.push(ChipError {
                    file: file.to_owned(),
                    line: 1,
                    span: 0..0,
                    cause: format!("\"{name}\" is also a name of \"{}\"", self.chips[other].name),
                    mend: "keep it in one of the two files".into(),
                });
            }
        }
        self.chips.push(chip);
    }

    /// The chip of that name or alias.
    pub fn find(&self, name: &str) -> Option<&Chip> {
        self.index.get(&key(name)).map(|&i| &self.chips[i])
    }

    /// All chips in the order they were read.
    pub fn iter(&self) -> impl Iterator<Item = &Chip> {
        self.chips.iter()
    }

    /// Names that resemble `name`, for messages.
    pub fn near(&self, name: &str) -> Vec<&str> {
        let wanted = key(name);
        let head: String = wanted.chars().take(3).collect();
        self.chips.iter().filter(|c| key(&c.name).starts_with(&head)).map(|c| c.name.as_str()).collect()
    }
}

/// A name without case, punctuation and empty words.
fn key(name: &str) -> String {
    let lower = name.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty() && !EMPTY_WORDS.contains(w)).collect()
}
