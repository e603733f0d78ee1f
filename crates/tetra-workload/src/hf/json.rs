//! JSON text (RFC 8259) to values that keep their line, so that a mistake can be shown where it is. Refuses what `serde_json` would let pass
//! silently or late: duplicate keys, nesting deeper than 64, text above 4 MiB, `NaN` and `Infinity`, numbers that are not finite.

/// Most bytes read.
const LONGEST: usize = 1 << 22;
/// Deepest nesting read.
const DEEPEST: usize = 64;

/// Most duplicate keys reported.
const MOST_DUPLICATES: usize = 40;

/// A value with the line on which it begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

/// Kinds of value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

/// What is wrong, where.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Broken {
    pub(crate) line: usize,
    pub(crate) key: String,
    pub(crate) cause: String,
    pub(crate) mend: &'static str,
}

impl Kind {
    /// What kind it is, for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }
}

/// Reads one JSON document. Duplicate keys are all reported; any other fault ends the reading.
pub(crate) fn parse(text: &str) -> Result<Value, Vec<Broken>> {
    if text.len() > LONGEST {
        let cause = format!("has {} bytes, more than {LONGEST}", text.len());
        return Err(vec![Broken { line: 1, key: String::new(), cause, mend: "give the model's config.json, not its weights" }]);
    }
    let mut p = Parser { bytes: text.as_bytes(), at: 0, line: 1, duplicates: Vec::new() };
    let value = p.value(0).and_then(|v| {
        p.space();
        if p.at < p.bytes.len() { Err(p.broken("text after the end of the document", "remove it")) } else { Ok(v) }
    });
    match value {
        Ok(v) if p.duplicates.is_empty() => Ok(v),
        Ok(_) => Err(p.duplicates),
        Err(e) => Err(p.duplicates.into_iter().chain([e]).collect()),
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
    duplicates: Vec<Broken>,
}

type Read<T> = Result<T, Broken>;

impl Parser<'_> {
    fn broken(&self, cause: &str, mend: &'static str) -> Broken {
        Broken { line: self.line, key: String::new(), cause: cause.to_string(), mend }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b @ (b' ' | b'\t' | b'\r' | b'\n')) = self.peek() {
            self.line += usize::from(b == b'\n');
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Read<()> {
        self.space();
        match self.peek() {
            Some(b) if b == byte => {
                self.at += 1;
                Ok(())
            }
            Some(b) => Err(self.broken(
                &format!("\"{}\" expected, \"{}\" found", char::from(byte), char::from(b).escape_default()),
                "correct the JSON text",
            )),
            None => Err(self.ends()),
        }
    }

    fn ends(&self) -> Broken {
        self.broken("the text ends too early", "give the whole file")
    }

    fn value(&mut self, depth: usize) -> Read<Value> {
        self.space();
        if depth > DEEPEST {
            return Err(self.broken(&format!("is nested deeper than {DEEPEST} levels"), "flatten it"));
        }
        let line = self.line;
        let kind = match self.peek() {
            None => return Err(self.ends()),
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Kind::Text(self.text()?),
            Some(b't') => self.word("true", Kind::Bool(true))?,
            Some(b'f') => self.word("false", Kind::Bool(false))?,
            Some(b'n') => self.word("null", Kind::Null)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(_) => return Err(self.broken(&self.no_value(), "write a string, a number, true, false, null, a list or an object")),
        };
        Ok(Value { line, kind })
    }

    fn no_value(&self) -> String {
        let word: String =
            self.bytes[self.at..].iter().take(12).take_while(|b| b.is_ascii_alphanumeric()).map(|&b| char::from(b)).collect();
        let byte = self.peek().map_or(String::new(), |b| char::from(b).escape_default().to_string());
        format!("\"{}\" is not a JSON value", if word.is_empty() { byte } else { word })
    }

    fn word(&mut self, word: &str, kind: Kind) -> Read<Kind> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(kind)
        } else if word.as_bytes().starts_with(&self.bytes[self.at..]) {
            Err(self.ends())
        } else {
            Err(self.broken(&self.no_value(), "write a string, a number, true, false, null, a list or an object"))
        }
    }

    fn number(&mut self) -> Read<Kind> {
        let start = self.at;
        while let Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        let digits = text.trim_start_matches('-');
        let plain =
            digits.starts_with(|c: char| c.is_ascii_digit()) && !digits.ends_with('.') && (digits == "0" || !digits.starts_with("00"));
        let shown: String = text.chars().take(32).collect();
        match text.parse::<f64>() {
            Ok(x) if x.is_finite() && plain => Ok(Kind::Number(x)),
            Ok(x) if !x.is_finite() => Err(self.broken(&format!("\"{shown}\" is too large for a number"), "write a finite number")),
            _ => Err(self.broken(&format!("\"{shown}\" is not a number"), "write a number such as 4096 or 1e-5")),
        }
    }

    fn list(&mut self, depth: usize) -> Read<Kind> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Kind::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.peek() == Some(b',') {
                self.at += 1;
            } else {
                self.expect(b']')?;
                return Ok(Kind::List(items));
            }
        }
    }

    fn map(&mut self, depth: usize) -> Read<Kind> {
        self.at += 1;
        let mut entries: Vec<(String, Value)> = Vec::new();
        let mut seen: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Kind::Map(entries));
        }
        loop {
            self.space();
            let line = self.line;
            if self.peek().is_some_and(|b| b != b'"') {
                return Err(self.broken("a key in double quotes is expected", "correct the JSON text"));
            }
            let key = self.text()?;
            self.expect(b':')?;
            let value = self.value(depth + 1)?;
            if let Some(first) = seen.insert(key.clone(), line).filter(|_| self.duplicates.len() < MOST_DUPLICATES) {
                let cause = format!("is given twice, on lines {first} and {line}");
                self.duplicates.push(Broken { line, key: key.clone(), cause, mend: "keep one of the two" });
            }
            entries.push((key, value));
            self.space();
            if self.peek() == Some(b',') {
                self.at += 1;
            } else {
                self.expect(b'}')?;
                return Ok(Kind::Map(entries));
            }
        }
    }

    fn text(&mut self) -> Read<String> {
        self.expect(b'"')?;
        let mut out: Vec<u8> = Vec::new();
        loop {
            let Some(b) = self.peek() else { return Err(self.ends()) };
            self.at += 1;
            match b {
                b'"' => break,
                b'\\' => self.escape(&mut out)?,
                0..=0x1f => return Err(self.broken("a control character stands inside a string", "write it as an escape such as \\n")),
                _ => out.push(b),
            }
        }
        String::from_utf8(out).map_err(|_| self.broken("a string is not UTF-8", "save the file as UTF-8"))
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Read<()> {
        let Some(b) = self.peek() else { return Err(self.ends()) };
        self.at += 1;
        let plain = match b {
            b'"' | b'\\' | b'/' => char::from(b),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode()?,
            _ => return Err(self.broken("an unknown escape stands inside a string", "write \\\\ for a backslash")),
        };
        out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn unicode(&mut self) -> Read<char> {
        let high = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&high) {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if !self.bytes[self.at..].starts_with(b"\\u") {
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        self.at += 2;
        let low = self.four_digits()?.wrapping_sub(0xdc00) & 0x3ff;
        Ok(char::from_u32(0x10000 + ((high - 0xd800) << 10) + low).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn four_digits(&mut self) -> Read<u32> {
        let digits = self.bytes.get(self.at..self.at + 4).and_then(|d| std::str::from_utf8(d).ok());
        let value = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())).and_then(|d| u32::from_str_radix(d, 16).ok());
        self.at = (self.at + 4).min(self.bytes.len());
        value.ok_or_else(|| self.broken("\\u needs four hexadecimal digits", "correct the escape"))
    }
}
