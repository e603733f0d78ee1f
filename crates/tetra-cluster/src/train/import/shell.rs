//! The straight-line part of shell scripts that set a job up: assignments, exports and arrays, `$NAME`, `${NAME:-default}` and `$((arithmetic))`, quotes, comments and
//! continued lines (POSIX shell, sections 2.2 to 2.6).
//!
//! Nothing is run: values of commands are not known, other files are not read, and lines below `if`, `for` or in functions are read as they stand. Each is noted.

use std::collections::BTreeMap;

use super::arithmetic::arithmetic;
use super::{ImportError, LONGEST, short};

/// Longest value, in characters.
const LONGEST_VALUE: usize = 1 << 12;
/// Most words.
const MOST_WORDS: usize = 1 << 16;
/// Deepest nesting of defaults.
const DEEPEST: usize = 16;
/// Most notes.
const MOST_NOTES: usize = 40;

/// A value: nothing where a command would have to be run.
type Known = Option<String>;

/// What a script sets and says.
#[derive(Debug, Default)]
pub(super) struct Script {
    file: String,
    /// Variables: line and value.
    pub(super) values: BTreeMap<String, (usize, Known)>,
    /// All words that are not assignments, and those within values that hold options, with their lines.
    pub(super) words: Vec<(usize, Known)>,
    /// What was not followed.
    pub(super) notes: Vec<String>,
    /// Whether words are collected for an array.
    array: bool,
    /// Whether the next word begins a command.
    fresh: bool,
    line: usize,
}

/// Reads a script.
pub(super) fn read(file: &str, text: &str) -> Result<Script, ImportError> {
    let mut script = Script { file: file.to_owned(), fresh: true, line: 1, ..Script::default() };
    if text.len() > LONGEST {
        return Err(script.mistake("the text is longer than 1 MiB", "give the script that sets the job up"));
    }
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        at = script.step(&chars, at)?;
    }
    Ok(script)
}

impl Script {
    fn mistake(&self, cause: &str, mend: &str) -> ImportError {
        ImportError { file: self.file.clone(), line: self.line, cause: cause.to_owned(), mend: mend.to_owned() }
    }

    pub(super) fn note(&mut self, text: String) {
        if self.notes.len() < MOST_NOTES && !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Reads one blank, sign, comment or word and returns where the next begins.
    fn step(&mut self, chars: &[char], at: usize) -> Result<usize, ImportError> {
        match chars[at] {
            '\n' => {
                self.line += 1;
                self.fresh = !self.array;
                Ok(at + 1)
            }
            '\\' if chars.get(at + 1) == Some(&'\n') => {
                self.line += 1;
                Ok(at + 2)
            }
            c if c.is_whitespace() => Ok(at + 1),
            '#' => Ok(chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n)),
            ')' => {
                (self.array, self.fresh) = (false, true);
                Ok(at + 1)
            }
            ';' | '|' | '&' | '(' => {
                self.fresh = true;
                Ok(at + 1)
            }
            '<' | '>' => Ok(at + 1),
            _ => {
                let end = self.end_of_word(chars, at)?;
                let raw: Vec<char> = chars[at..end].to_vec();
                let next = chars.get(end).copied();
                self.word(&raw, next)?;
                self.line += raw.iter().filter(|c| **c == '\n').count();
                // The bracket of an array belongs to its assignment.
                Ok(if self.array && next == Some('(') { end + 1 } else { end })
            }
        }
    }

    /// Where a word ends: at a blank or sign outside quotes and braces.
    fn end_of_word(&self, chars: &[char], from: usize) -> Result<usize, ImportError> {
        let mut at = from;
        while at < chars.len() {
            match chars[at] {
                '\\' => at += 2,
                '\'' => at = self.close(chars, at + 1, "'")? + 1,
                '"' => at = self.end_of_quote(chars, at + 1)?,
                '`' => at = self.close(chars, at + 1, "`")? + 1,
                '$' => at = self.end_of_dollar(chars, at)?,
                c if c.is_whitespace() || ";|&()<>".contains(c) => break,
                _ => at += 1,
            }
        }
        Ok(at.min(chars.len()))
    }

    fn end_of_quote(&self, chars: &[char], from: usize) -> Result<usize, ImportError> {
        let mut at = from;
        while at < chars.len() {
            match chars[at] {
                '"' => return Ok(at + 1),
                '\\' => at += 2,
                '$' => at = self.end_of_dollar(chars, at)?,
                _ => at += 1,
            }
        }
        Err(self.mistake("a quote is not closed", "close it"))
    }

    /// Behind `$`, `${…}` or `$(…)`.
    fn end_of_dollar(&self, chars: &[char], at: usize) -> Result<usize, ImportError> {
        let (open, shut) = match chars.get(at + 1) {
            Some('{') => ('{', '}'),
            Some('(') => ('(', ')'),
            _ => return Ok(at + 1),
        };
        let mut depth = 0usize;
        for (i, c) in chars.iter().enumerate().skip(at + 1) {
            if *c == open {
                depth += 1;
            } else if *c == shut {
                depth -= 1;
                if depth == 0 {
                    return Ok(i + 1);
                }
            }
        }
        Err(self.mistake(&format!("\"${open}\" is not closed"), "close it"))
    }

    fn close(&self, chars: &[char], from: usize, mark: &str) -> Result<usize, ImportError> {
        let found = chars.iter().skip(from).position(|c| mark.contains(*c));
        found.map(|n| from + n).ok_or_else(|| self.mistake("a quote is not closed", "close it"))
    }

    /// A word: an assignment where a command begins, else a word of a command or array.
    fn word(&mut self, raw: &[char], next: Option<char>) -> Result<(), ImportError> {
        if self.words.len() > MOST_WORDS || self.values.len() > MOST_WORDS {
            return Err(self.mistake("the script has more words than any", "give the script that sets the job up"));
        }
        if self.fresh && !self.array {
            let text: String = raw.iter().collect();
            if let Some((name, at)) = assigned(&text) {
                self.array = next == Some('(') && at == raw.len();
                if !self.array {
                    let value = self.expand(&raw[at..], 0)?;
                    self.options(&value);
                    self.values.insert(name, (self.line, value));
                }
                return Ok(());
            }
            match text.as_str() {
                "export" | "declare" | "local" | "readonly" | "-x" | "-r" | "then" | "do" | "else" | ":" | "{" | "}" | "!" => return Ok(()),
                "if" | "elif" | "for" | "while" | "until" | "case" => {
                    self.note(format!("line {}: \"{text}\" is not followed; the lines below it are read as they stand", self.line));
                }
                "source" | "." => self.note(format!("line {}: the file sourced here is not read; give its values as flags", self.line)),
                _ => {}
            }
            self.fresh = false;
        }
        let value = self.expand(raw, 0)?;
        let line = self.line;
        match &value {
            // A variable that holds several options.
            Some(text) if text.contains(char::is_whitespace) && text.contains("--") => self.options(&value),
            _ => self.words.push((line, value)),
        }
        Ok(())
    }

    /// Options within a value.
    fn options(&mut self, value: &Known) {
        let Some(text) = value.as_deref().filter(|t| t.contains("--")) else { return };
        let line = self.line;
        self.words.extend(text.split_whitespace().map(|w| (line, Some(w.to_owned()))));
    }

    /// A raw word with quotes taken off and variables put in.
    fn expand(&mut self, raw: &[char], depth: usize) -> Result<Known, ImportError> {
        if depth > DEEPEST {
            return Err(self.mistake("defaults are nested deeper than any script does", "simplify the value"));
        }
        let (mut out, mut known, mut at, mut quoted) = (String::new(), true, 0, false);
        while at < raw.len() {
            match raw[at] {
                '\'' if !quoted => {
                    let end = self.close(raw, at + 1, "'")?;
                    out.extend(&raw[at + 1..end]);
                    at = end + 1;
                }
                '"' => {
                    quoted = !quoted;
                    at += 1;
                }
                '\\' => {
                    out.extend(raw.get(at + 1).filter(|c| **c != '\n'));
                    at += 2;
                }
                '`' => {
                    known = false;
                    at = self.close(raw, at + 1, "`")? + 1;
                }
                '$' => {
                    let (value, end) = self.dollar(raw, at, depth)?;
                    known &= value.is_some();
                    out.push_str(&value.unwrap_or_default());
                    at = end;
                }
                c => {
                    out.push(c);
                    at += 1;
                }
            }
            if out.len() > LONGEST_VALUE {
                return Err(self.mistake("a value is longer than any setting", "shorten it"));
            }
        }
        Ok(known.then_some(out))
    }

    /// The value of `$…` at a place, and where it ends.
    fn dollar(&mut self, raw: &[char], at: usize, depth: usize) -> Result<(Known, usize), ImportError> {
        let end = self.end_of_dollar(raw, at)?;
        match raw.get(at + 1) {
            Some('(') if raw.get(at + 2) == Some(&'(') && end >= at + 5 => {
                let inner = self.expand(&raw[at + 3..end - 2], depth + 1)?;
                Ok((inner.and_then(|text| arithmetic(&text, &|name| self.number(name))).map(|n| n.to_string()), end))
            }
            Some('(') => Ok((None, end)),
            Some('{') => Ok((self.braces(&raw[at + 2..end - 1], depth)?, end)),
            Some(c) if c.is_alphabetic() || *c == '_' => {
                let name: String = raw[at + 1..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').collect();
                Ok((self.value(&name), at + 1 + name.chars().count()))
            }
            // Arguments of the script and other signs.
            Some(c) if c.is_ascii_digit() || "@*#?$!".contains(*c) => Ok((None, at + 2)),
            _ => Ok((Some("$".into()), at + 1)),
        }
    }

    /// `NAME`, `NAME:-default`, `NAME:=default`, `NAME:+other` within braces.
    fn braces(&mut self, inner: &[char], depth: usize) -> Result<Known, ImportError> {
        let name: String = inner.iter().take_while(|c| c.is_alphanumeric() || **c == '_').collect();
        let rest = &inner[name.chars().count()..];
        let set = self.values.contains_key(&name);
        let filled = self.values.get(&name).is_some_and(|(_, v)| v.as_deref() != Some(""));
        let (there, sign, from) = match rest {
            [] => return Ok(self.value(&name)),
            [':', sign @ ('-' | '=' | '+' | '?'), ..] => (filled, *sign, 2),
            [sign @ ('-' | '=' | '+' | '?'), ..] => (set, *sign, 1),
            _ => return Ok(None),
        };
        match (sign, there) {
            ('+', false) => Ok(Some(String::new())),
            ('+', true) | ('-' | '=', false) => {
                let other = self.expand(&rest[from..], depth + 1)?;
                if sign == '=' {
                    self.values.insert(name, (self.line, other.clone()));
                }
                Ok(other)
            }
            _ => Ok(self.value(&name)),
        }
    }

    /// The value of a variable; one that was never set is empty.
    fn value(&self, name: &str) -> Known {
        self.values.get(name).map_or(Some(String::new()), |(_, v)| v.clone())
    }

    fn number(&self, name: &str) -> Option<i64> {
        let text = self.value(name)?;
        if text.trim().is_empty() { Some(0) } else { text.trim().parse().ok() }
    }

    /// A whole number that a variable holds, if it is set; a mistake where it holds something else.
    pub(super) fn count(&mut self, name: &str) -> Result<Option<u64>, ImportError> {
        let Some((line, value)) = self.values.get(name).cloned() else { return Ok(None) };
        let Some(text) = value else {
            self.note(format!("line {line}: {name} is set by a command; give it as a flag"));
            return Ok(None);
        };
        let text = text.trim();
        if text.is_empty() || text.eq_ignore_ascii_case("null") || text.eq_ignore_ascii_case("none") {
            return Ok(None);
        }
        self.line = line;
        let found = text.parse().ok().filter(|n| *n > 0);
        found.map(Some).ok_or_else(|| self.mistake(&format!("{name} is \"{}\"", short(text)), "write a whole number from 1"))
    }

    /// Whether a variable holds a word for yes; nothing where it is not set.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        let text = self.values.get(name)?.1.as_deref()?.trim().to_ascii_lowercase();
        match text.as_str() {
            "1" | "true" | "yes" | "on" => Some(true),
            "0" | "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }
}

/// The name that a word assigns to, and where its value begins.
fn assigned(text: &str) -> Option<(String, usize)> {
    let (name, _) = text.split_once('=')?;
    let plain = name.strip_suffix('+').unwrap_or(name);
    let letters = plain.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let first = plain.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    (letters && first).then(|| (plain.to_owned(), name.chars().count() + 1))
}
