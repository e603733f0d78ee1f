//! How a command ends when it cannot answer: broken input (exit code 2), a design that does not fit (1), a fault of ours (3).

use std::fmt::Display;
use std::path::Path;

/// Why a command gave no answer.
#[derive(Debug)]
pub enum Failure {
    /// Broken input: every mistake that was found, as text.
    Input(Vec<String>),
    /// It does not fit: the reasons.
    Misfit(Vec<String>),
    /// A fault of ours.
    Fault(String),
}

impl Failure {
    /// One mistake in a user's file or folder: place, cause, mend.
    pub fn input(path: &Path, cause: &str, mend: &str) -> Self {
        Self::Input(vec![format!("{}: {cause}: {mend}", path.display())])
    }

    /// Mistakes found by a reader of a named text.
    pub fn all<E: Display>(name: &str, errors: impl IntoIterator<Item = E>) -> Self {
        Self::Input(errors.into_iter().map(|e| format!("{name}: {e}")).collect())
    }

    /// One reason why it does not fit.
    pub fn misfit(reason: &impl Display) -> Self {
        Self::Misfit(vec![reason.to_string()])
    }

    /// The process's exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Misfit(_) => 1,
            Self::Input(_) => 2,
            Self::Fault(_) => 3,
        }
    }

    /// Its mistakes or reasons, one by one.
    pub fn lines(self) -> Vec<String> {
        match self {
            Self::Input(lines) | Self::Misfit(lines) => lines,
            Self::Fault(text) => vec![text],
        }
    }

    /// What a person reads.
    pub fn text(&self) -> String {
        match self {
            Self::Input(errors) => list("error", errors),
            Self::Misfit(reasons) => list("does not fit", reasons),
            Self::Fault(text) => format!("tetra has a fault, please report it: {text}"),
        }
    }
}

/// Most mistakes shown; the rest is counted.
const MOST_SHOWN: usize = 40;
/// Longest mistake shown, in characters.
const LONGEST_SHOWN: usize = 1500;

fn list(head: &str, items: &[String]) -> String {
    let mut lines: Vec<String> = items.iter().take(MOST_SHOWN).map(|i| format!("{head}: {}", printable(i))).collect();
    let more = items.len().saturating_sub(MOST_SHOWN);
    if more > 0 {
        lines.push(format!("and {more} more: mend these first"));
    }
    lines.join("\n")
}

/// Text of a user's file may hold anything: no control character reaches the terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !['\n', '\t'].contains(&c) { '\u{fffd}' } else { c }).collect()
}

/// The same without endless lines.
fn printable(text: &str) -> String {
    let short: String = text.trim_end().chars().take(LONGEST_SHOWN).collect();
    let mut shown = plain(&short);
    if text.trim_end().chars().nth(LONGEST_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn a_flood_is_counted_and_control_characters_are_not_printed() {
        let errors: Vec<String> = (0..100).map(|i| format!("a.csv:{i}: \u{1b}[2Jbad")).collect();
        let text = Failure::Input(errors).text();
        assert_eq!(text.lines().count(), 41);
        assert!(text.ends_with("and 60 more: mend these first"), "{text}");
        assert!(text.starts_with("error: a.csv:0: \u{fffd}[2Jbad\n"), "{text}");
        assert!(Failure::Input(vec!["x".repeat(1 << 20)]).text().len() < 2000);
    }
}
