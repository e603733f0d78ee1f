//! Finds the config file that a table or a person means by a model's name: `org/Name` is `Name`; case and punctuation do not matter; an alias
//! table (header `alias,model`) gives the rest. Pure text: the caller lists the files.

use std::collections::BTreeMap;

/// Other names of models.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Aliases(BTreeMap<String, String>);

impl Aliases {
    /// Reads lines of `alias,model` after a header; empty lines and lines without a comma are passed over.
    pub fn parse(csv: &str) -> Self {
        let pairs = csv.lines().skip(1).filter_map(|l| l.rsplit_once(','));
        Self(pairs.map(|(alias, model)| (plain(alias), model.trim().to_string())).collect())
    }

    /// The file stem among `stems` that `asked` means: the exact one, then the same letters and digits, then an alias of it.
    pub fn find<'a>(&self, asked: &str, stems: &[&'a str]) -> Option<&'a str> {
        let name = asked.trim().rsplit('/').next().unwrap_or_default();
        let name = name.strip_suffix(".json").unwrap_or(name);
        let same = |wanted: &str| stems.iter().copied().find(|s| *s == wanted).or_else(|| same_letters(wanted, stems));
        same(name).or_else(|| self.0.get(&plain(asked)).or_else(|| self.0.get(&plain(name))).and_then(|m| same(m)))
    }
}

impl Aliases {
    /// The file stem among `stems` whose name, or an alias of it, stands in `asked` among other words, the longest: `LLAMA3_70B_SFT` is Llama-3-70B. A number is taken whole:
    /// `GPT-3 1.3B` is not GPT-3.
    pub fn within<'a>(&self, asked: &str, stems: &[&'a str]) -> Option<&'a str> {
        let text = plain(asked);
        let own = stems.iter().map(|s| (plain(s), *s));
        let others = self.0.iter().filter_map(|(alias, model)| same_letters(model, stems).map(|s| (alias.clone(), s)));
        let mut best: Option<(usize, &'a str)> = None;
        for (name, stem) in own.chain(others).filter(|(name, _)| stands(&text, name)) {
            if best.is_none_or(|(length, _)| name.len() > length) {
                best = Some((name.len(), stem));
            }
        }
        best.map(|(_, stem)| stem)
    }
}

/// Whether a name with letters and digits stands in a text, no number of either cut.
fn stands(text: &str, name: &str) -> bool {
    const LETTERS_LEAST: usize = 5;
    let digit = |c: char| c.is_ascii_digit() || c == '.';
    if name.len() < LETTERS_LEAST || !name.contains(digit) {
        return false;
    }
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(digit) && name.starts_with(digit);
        let after = text[at + name.len()..].chars().next().is_some_and(digit) && name.ends_with(digit);
        !before && !after
    })
}

/// Names that resemble `asked`, the nearest first, at most five: those that share a word of letters or a word of digits with it.
pub fn near<'a>(asked: &str, stems: &[&'a str]) -> Vec<&'a str> {
    const MOST: usize = 5;
    let wanted = words(asked.rsplit('/').next().unwrap_or_default());
    let shared = |stem: &str| words(stem).iter().filter(|w| wanted.contains(w)).map(String::len).sum::<usize>();
    let mut all: Vec<(usize, &str)> = stems.iter().map(|s| (shared(s), *s)).filter(|(n, _)| *n > 1).collect();
    all.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    all.into_iter().take(MOST).map(|(_, s)| s).collect()
}

/// Runs of letters and runs of digits, in lower case.
fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut last = None;
    for c in text.chars().flat_map(char::to_lowercase) {
        let kind = c.is_alphanumeric().then_some(c.is_numeric());
        match out.last_mut() {
            Some(word) if kind.is_some() && kind == last => word.push(c),
            _ if kind.is_some() => out.push(c.to_string()),
            _ => {}
        }
        last = kind;
    }
    out
}

fn same_letters<'a>(wanted: &str, stems: &[&'a str]) -> Option<&'a str> {
    let wanted = plain(wanted);
    if wanted.is_empty() { None } else { stems.iter().copied().find(|s| plain(s) == wanted) }
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric() || *c == '.').flat_map(char::to_lowercase).collect()
}
