//! Broken input of a study: the place in the text, the cause and the mend; all mistakes of one file together.

use std::ops::Range;

use miette::{Diagnostic, NamedSource, SourceSpan};

/// Most mistakes reported.
const MOST_MISTAKES: usize = 100;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error, Diagnostic)]
#[error("{cause}")]
#[diagnostic(help("{mend}"))]
pub struct Problem {
    /// Bytes of the file that it concerns.
    #[label("here")]
    pub place: SourceSpan,
    /// What is wrong.
    pub cause: String,
    /// What to do.
    pub mend: String,
}

/// All mistakes of one file, with its text.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{file} has {} {}", problems.len(), if problems.len() == 1 { "mistake" } else { "mistakes" })]
pub struct StudyError {
    /// Name of the file.
    pub file: String,
    /// Text, for showing places.
    #[source_code]
    pub text: NamedSource<String>,
    /// The mistakes in the order of the file.
    #[related]
    pub problems: Vec<Problem>,
}

impl StudyError {
    /// Orders the mistakes by place.
    pub(crate) fn new(file: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| (a.place.offset(), &a.cause).cmp(&(b.place.offset(), &b.cause)));
        problems.dedup();
        Self { file: file.to_owned(), text: NamedSource::new(file, text.to_owned()), problems }
    }

    /// One line per mistake: `study.toml:3:10: cause: mend`.
    pub fn lines(&self) -> Vec<String> {
        let text = self.text.inner();
        self.problems
            .iter()
            .map(|p| {
                let (line, column) = position(text, p.place.offset());
                format!("{}:{line}:{column}: {}: {}", self.file, p.cause, p.mend)
            })
            .collect()
    }
}

/// Collects mistakes while a file is read.
#[derive(Debug, Default)]
pub(crate) struct Problems(pub Vec<Problem>);

impl Problems {
    /// Notes a mistake.
    pub fn add(&mut self, place: Range<usize>, cause: impl Into<String>, mend: impl Into<String>) {
        // Placing a mistake reads the text up to it: a flood would take as long as it is useless.
        if self.0.len() >= MOST_MISTAKES {
            return;
        }
        self.0.push(Problem { place: place.into(), cause: cause.into(), mend: mend.into() });
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    (line, column)
}
