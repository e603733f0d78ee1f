//! A small reader of the YAML that architecture files use, JSON among it: block and flow maps and lists, quoted and plain texts, tags.
//!
//! Refused, with their line: anchors and aliases (they can name more than memory holds), block texts, tabs as indentation, more than
//! 48 levels, texts longer than 1 MiB. Every value is a text; numbers are read where they are asked for.

use crate::error::ChipError;

/// Longest file, deepest nesting, most values.
const LONGEST: usize = 1 << 20;
const DEEPEST: usize = 48;
const MOST_VALUES: usize = 20_000;
/// Longest key, in bytes: paths of keys are kept for every value.
const LONGEST_KEY: usize = 100;

/// A value with its line and tag.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Line of the file, from 1.
    pub line: usize,
    /// Tag, for example `Memory` of `!Memory`.
    pub tag: Option<String>,
    /// Value.
    pub value: Value,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text or number; empty where nothing was written.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values in order.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of a key of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(m) => m.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The value at a path of keys parted by dots.
    pub fn at(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, Node::get)
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(t) => Some(t),
            _ => None,
        }
    }

    /// Items of a list.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(l) => l,
            _ => &[],
        }
    }

    /// Paths of all scalars below, each with its line.
    pub fn leaves(&self, path: &str, out: &mut Vec<(String, usize)>) {
        let under = |k: &str| if path.is_empty() { k.to_owned() } else { format!("{path}.{k}") };
        match &self.value {
            Value::Text(_) => out.push((path.to_owned(), self.line)),
            Value::List(l) => l.iter().for_each(|n| n.leaves(path, out)),
            Value::Map(m) => m.iter().for_each(|(k, n)| n.leaves(&under(k), out)),
        }
    }
}

/// A mistake at a line.
pub fn mistake(file: &str, line: usize, cause: impl Into<String>, mend: &str) -> ChipError {
    ChipError { file: file.to_owned(), line, span: 0..0, cause: cause.into(), mend: mend.to_owned() }
}

/// Reads a text.
///
/// # Errors
/// The first thing in it that cannot be read.
pub fn read_tree(file: &str, text: &str) -> Result<Node, ChipError> {
    if text.len() > LONGEST {
        return Err(mistake(file, 1, "the file is longer than 1 MiB", "an architecture file has some hundred lines"));
    }
    let mut lines = Vec::new();
    for (i, raw) in text.lines().enumerate() {
        let content = without_comment(raw).trim_end();
        let body = content.trim_start();
        if body.is_empty() || body == "---" {
            continue;
        }
        let indent = content.len() - body.len();
        if content[..indent].contains('\t') && !text.trim_start().starts_with('{') {
            return Err(mistake(file, i + 1, "a tab indents this line", "indent with spaces"));
        }
        lines.push(Line { number: i + 1, indent, text: body.to_owned() });
    }
    let mut reader = Reader { file, lines, at: 0, values: 0 };
    if reader.lines.is_empty() {
        return Err(mistake(file, 1, "the file is empty", "write an architecture"));
    }
    let node = reader.block(0, 0)?;
    match reader.lines.get(reader.at) {
        Some(l) => Err(mistake(file, l.number, "this line belongs to nothing above it", "correct its indentation")),
        None => Ok(node),
    }
}

/// A line up to a `#` that stands outside quotes after a space.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (i, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => return &line[..i],
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (Some(q), c) if c == q => quote = None,
            _ => {}
        }
        before = c;
    }
    line
}

struct Line {
    number: usize,
    indent: usize,
    text: String,
}

struct Reader<'a> {
    file: &'a str,
    lines: Vec<Line>,
    at: usize,
    values: usize,
}

/// Counts a value; why there may be no more of them.
fn counted(values: &mut usize) -> Result<(), &'static str> {
    *values += 1;
    if *values > MOST_VALUES { Err("the file has more than 20000 values") } else { Ok(()) }
}

/// Why a key may not stand in a map.
fn barred(entries: &[(String, Node)], key: &str) -> Option<String> {
    let shown: String = key.chars().take(LONGEST_KEY).collect();
    if key.len() > LONGEST_KEY {
        return Some(format!("key \"{shown}\" and so on is longer than {LONGEST_KEY} bytes"));
    }
    entries.iter().any(|(k, _)| k == key).then(|| format!("key \"{shown}\" is there twice"))
}

impl Reader<'_> {
    fn wrong<T>(&self, line: usize, cause: &str, mend: &str) -> Result<T, ChipError> {
        Err(mistake(self.file, line, cause, mend))
    }

    /// The block that starts at the present line.
    fn block(&mut self, least: usize, depth: usize) -> Result<Node, ChipError> {
        let Some(l) = self.lines.get(self.at).filter(|l| l.indent >= least) else {
            let line = self.lines.get(self.at.saturating_sub(1)).map_or(1, |l| l.number);
            return Ok(Node { line, tag: None, value: Value::Text(String::new()) });
        };
        let (number, indent, text) = (l.number, l.indent, l.text.clone());
        if depth > DEEPEST {
            return self.wrong(number, "nested more than 48 deep", "write it flatter");
        }
        if let Err(cause) = counted(&mut self.values) {
            return self.wrong(number, cause, "an architecture has some hundred");
        }
        if text == "-" || text.starts_with("- ") {
            return self.list(number, indent, depth);
        }
        if text.starts_with('!') {
            return self.tagged(number, indent, &text, depth);
        }
        if !text.starts_with(['{', '[']) && key_of(&text).is_some() {
            return self.map(number, indent, depth);
        }
        self.inline(depth)
    }

    fn tagged(&mut self, number: usize, indent: usize, text: &str, depth: usize) -> Result<Node, ChipError> {
        let (tag, rest) = text[1..].split_once(char::is_whitespace).unwrap_or((&text[1..], ""));
        let (tag, rest) = (tag.to_owned(), rest.trim().to_owned());
        if rest.is_empty() {
            self.at += 1;
        } else {
            self.lines[self.at] = Line { number, indent, text: rest };
        }
        let mut node = self.block(indent, depth + 1)?;
        node.tag = Some(tag);
        Ok(node)
    }

    fn list(&mut self, number: usize, indent: usize, depth: usize) -> Result<Node, ChipError> {
        let mut items = Vec::new();
        while let Some(l) = self.lines.get(self.at) {
            if l.indent != indent || !(l.text == "-" || l.text.starts_with("- ")) {
                break;
            }
            let (line, rest) = (l.number, l.text[1..].trim_start().to_owned());
            if rest.is_empty() {
                self.at += 1;
                items.push(self.block(indent + 1, depth + 1)?);
            } else {
                let inner = indent + l.text.len() - rest.len();
                self.lines[self.at] = Line { number: line, indent: inner, text: rest };
                items.push(self.block(inner, depth + 1)?);
            }
        }
        Ok(Node { line: number, tag: None, value: Value::List(items) })
    }

    fn map(&mut self, number: usize, indent: usize, depth: usize) -> Result<Node, ChipError> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        while let Some(l) = self.lines.get(self.at) {
            if l.indent != indent {
                break;
            }
            let line = l.number;
            let Some((key, rest)) = key_of(&l.text).map(|(k, r)| (k.to_owned(), r.to_owned())) else {
                return self.wrong(line, "this is no key and value", "write key: value");
            };
            if let Some(cause) = barred(&entries, &key) {
                return self.wrong(line, &cause, "remove or shorten it");
            }
            let value = if rest.is_empty() {
                self.at += 1;
                // A list may stand under its key without more indentation.
                let list = self.lines.get(self.at).is_some_and(|l| l.indent == indent && l.text.starts_with('-'));
                self.block(if list { indent } else { indent + 1 }, depth + 1)?
            } else {
                self.lines[self.at] = Line { number: line, indent: indent + 1, text: rest };
                if self.lines[self.at].text.starts_with('!') { self.block(indent + 1, depth + 1)? } else { self.inline(depth + 1)? }
            };
            entries.push((key, value));
        }
        Ok(Node { line: number, tag: None, value: Value::Map(entries) })
    }

    /// A scalar, or a flow collection that may go on over further lines.
    fn inline(&mut self, depth: usize) -> Result<Node, ChipError> {
        let (number, first) = (self.lines[self.at].number, self.lines[self.at].text.clone());
        self.at += 1;
        if let Err(cause) = counted(&mut self.values) {
            return self.wrong(number, cause, "an architecture has some hundred");
        }
        if first.starts_with(['&', '*']) {
            return self.wrong(number, "anchors and aliases are not read", "write the value out");
        }
        if first.starts_with(['|', '>']) {
            return self.wrong(number, "block texts are not read", "write the text on one line");
        }
        if !first.starts_with(['{', '[']) {
            return Ok(Node { line: number, tag: None, value: Value::Text(unquoted(&first).to_owned()) });
        }
        let mut chars: Vec<(char, usize)> = first.chars().map(|c| (c, number)).collect();
        let mut open = balance(&first);
        while open > 0 {
            let Some(l) = self.lines.get(self.at) else {
                return self.wrong(number, "a bracket is not closed", "close it");
            };
            chars.push((' ', l.number));
            chars.extend(l.text.chars().map(|c| (c, l.number)));
            open = open.saturating_add(balance(&l.text));
            self.at += 1;
        }
        let mut flow = Flow { file: self.file, chars: &chars, at: 0, values: self.values };
        let node = flow.value(depth)?;
        flow.space();
        self.values = flow.values;
        if flow.at < chars.len() {
            return self.wrong(number, "something follows a closed bracket", "remove it");
        }
        Ok(node)
    }
}

/// Brackets opened less closed, outside quotes.
fn balance(text: &str) -> i64 {
    let (mut n, mut quote, mut escaped) = (0i64, None, false);
    for c in text.chars() {
        match (quote, c) {
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(q), c) if c == q && !escaped => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[') => n += 1,
            (None, '}' | ']') => n -= 1,
            _ => {}
        }
        escaped = false;
    }
    n
}

fn unquoted(text: &str) -> &str {
    let t = text.trim();
    ['"', '\''].iter().find_map(|&q| t.strip_prefix(q)?.strip_suffix(q)).unwrap_or(t)
}

/// Key and the rest of a line `key: rest` or `key:`.
fn key_of(text: &str) -> Option<(&str, &str)> {
    let i = text.find(": ").or_else(|| text.ends_with(':').then(|| text.len() - 1))?;
    let key = unquoted(&text[..i]);
    (!key.is_empty() && !key.contains(['{', '[', '"'])).then(|| (key, text[i + 1..].trim()))
}

struct Flow<'a> {
    file: &'a str,
    chars: &'a [(char, usize)],
    at: usize,
    values: usize,
}

impl Flow<'_> {
    fn here(&self) -> Option<char> {
        self.chars.get(self.at).map(|c| c.0)
    }

    fn line(&self) -> usize {
        self.chars.get(self.at).or(self.chars.last()).map_or(1, |c| c.1)
    }

    fn space(&mut self) {
        while self.here().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn wrong<T>(&self, cause: &str, mend: &str) -> Result<T, ChipError> {
        Err(mistake(self.file, self.line(), cause, mend))
    }

    fn value(&mut self, depth: usize) -> Result<Node, ChipError> {
        self.space();
        let line = self.line();
        if depth > DEEPEST {
            return self.wrong("nested more than 48 deep", "write it flatter");
        }
        if let Err(cause) = counted(&mut self.values) {
            return self.wrong(cause, "an architecture has some hundred");
        }
        let value = match self.here() {
            Some('{') => self.map(depth)?,
            Some('[') => self.list(depth)?,
            _ => Value::Text(self.scalar()?),
        };
        Ok(Node { line, tag: None, value })
    }

    fn list(&mut self, depth: usize) -> Result<Value, ChipError> {
        let mut items = Vec::new();
        self.at += 1;
        loop {
            self.space();
            match self.here() {
                Some(']') => break,
                Some(',') => self.at += 1,
                None => return self.wrong("a bracket is not closed", "close it"),
                Some('}') => return self.wrong("a list ends with }", "write ]"),
                _ => items.push(self.value(depth + 1)?),
            }
        }
        self.at += 1;
        Ok(Value::List(items))
    }

    fn map(&mut self, depth: usize) -> Result<Value, ChipError> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        self.at += 1;
        loop {
            self.space();
            match self.here() {
                Some('}') => break,
                Some(',') => self.at += 1,
                None => return self.wrong("a bracket is not closed", "close it"),
                _ => {
                    let key = self.scalar()?;
                    self.space();
                    if self.here() != Some(':') {
                        return self.wrong("a key has no value", "write key: value");
                    }
                    if let Some(cause) = barred(&entries, &key) {
                        return self.wrong(&cause, "remove or shorten it");
                    }
                    self.at += 1;
                    entries.push((key, self.value(depth + 1)?));
                }
            }
        }
        self.at += 1;
        Ok(Value::Map(entries))
    }

    fn scalar(&mut self) -> Result<String, ChipError> {
        let mut out = String::new();
        if let Some(quote @ ('"' | '\'')) = self.here() {
            self.at += 1;
            loop {
                match self.here() {
                    None => return self.wrong("a quote is not closed", "close it"),
                    Some(c) if c == quote => break,
                    Some('\\') if quote == '"' => {
                        self.at += 1;
                        out.extend(self.here());
                    }
                    Some(c) => out.push(c),
                }
                self.at += 1;
            }
            self.at += 1;
            return Ok(out);
        }
        let mut round = 0i64;
        while let Some(c) = self.here() {
            match c {
                '(' => round += 1,
                ')' => round -= 1,
                ',' if round <= 0 => break,
                '{' | '}' | '[' | ']' | ':' => break,
                _ => {}
            }
            out.push(c);
            self.at += 1;
        }
        if out.starts_with(['&', '*']) {
            return self.wrong("anchors and aliases are not read", "write the value out");
        }
        if out.is_empty() {
            return self.wrong("a value is missing", "write one");
        }
        Ok(out.trim().to_owned())
    }
}
