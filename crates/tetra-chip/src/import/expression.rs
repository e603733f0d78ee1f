//! Arithmetic of architecture files: numbers, `inf`, `+ - * /`, brackets, and `TENSOR.bits_per_value`.

/// Deepest brackets.
const DEEPEST: usize = 32;

/// The value of an expression; `bits` stands for any tensor's bits per value.
pub fn evaluate(text: &str, bits: f64) -> Option<f64> {
    let mut e = Expression { rest: text.trim(), bits };
    let x = e.sum(0)?;
    (e.rest.is_empty() && !x.is_nan()).then_some(x)
}

struct Expression<'a> {
    rest: &'a str,
    bits: f64,
}

impl Expression<'_> {
    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(r) => {
                self.rest = r.trim_start();
                true
            }
            None => false,
        }
    }

    fn sum(&mut self, depth: usize) -> Option<f64> {
        let mut x = self.product(depth)?;
        loop {
            if self.eat('+') {
                x += self.product(depth)?;
            } else if self.eat('-') {
                x -= self.product(depth)?;
            } else {
                return Some(x);
            }
        }
    }

    fn product(&mut self, depth: usize) -> Option<f64> {
        let mut x = self.factor(depth)?;
        loop {
            if self.eat('*') {
                x *= self.factor(depth)?;
            } else if self.eat('/') {
                x /= self.factor(depth)?;
            } else {
                return Some(x);
            }
        }
    }

    fn factor(&mut self, depth: usize) -> Option<f64> {
        if depth > DEEPEST {
            return None;
        }
        if self.eat('(') {
            let x = self.sum(depth + 1)?;
            return self.eat(')').then_some(x);
        }
        let mut before = ' ';
        let end = self.rest.find(|c: char| {
            let sign = ['+', '-'].contains(&c) && ['e', 'E'].contains(&before);
            before = c;
            !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || sign)
        });
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        if word.ends_with(".bits_per_value") {
            return Some(self.bits);
        }
        word.parse().ok()
    }
}
