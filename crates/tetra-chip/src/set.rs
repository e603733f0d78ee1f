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

    /// The chip that a table means: the one of that name, else the one of whose names most words stand in the text. `8x A100 SXM4 (40GB, 400W)` is the A100 SXM4
    /// 40GB, `TPU v5p-1024` the TPU v5p.
    pub fn told(&self, text: &str) -> Option<&Chip> {
        let said = said(text);
        let words = |name: &str| {
            let wanted = said_words(name);
            let all = !wanted.is_empty() && wanted.iter().all(|w| said.contains(w));
            // Of two names with as many words the one that states the memory is meant.
            all.then(|| (wanted.len(), wanted.iter().filter(|w| w.ends_with("gb")).count()))
        };
        let most = |chip: &Chip| std::iter::once(&chip.name).chain(&chip.aliases).filter_map(|n| words(n)).max();
        let mut best: Option<((usize, usize), &Chip)> = None;
        for chip in &self.chips {
            if let Some(count) = most(chip).filter(|c| best.is_none_or(|(b, _)| *c > b)) {
                best = Some((count, chip));
            }
        }
        self.find(text).or(best.map(|(_, chip)| chip))
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

/// Words of a text that a name may consist of, and what two neighbours make together: `TPU v4` is also `tpuv4`.
fn said(text: &str) -> Vec<String> {
    let words = said_words(text);
    let pairs: Vec<String> = words.windows(2).map(|p| p.concat()).collect();
    words.into_iter().chain(pairs).collect()
}

/// Words of a name: case, maker names, numbers of chips and generations of the socket (`8xA100 SXM4`) left out.
fn said_words(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).map(bare);
    words.filter(|w| !w.is_empty() && !EMPTY_WORDS.contains(w)).map(str::to_owned).collect()
}

/// A word without a number of chips before it and without the generation of a socket behind it.
fn bare(word: &str) -> &str {
    let counted = word.trim_start_matches(|c: char| c.is_ascii_digit());
    match counted.strip_prefix('x') {
        Some(rest) if counted.len() < word.len() => rest,
        _ if word.starts_with("sxm") => &word[..3],
        _ => word,
    }
}
