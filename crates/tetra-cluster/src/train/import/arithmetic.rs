//! Whole-number arithmetic of scripts: `+ - * / %`, brackets, names and numbers. Anything else has no value, and neither has what overflows or divides by nothing.

/// Deepest brackets.
const DEEPEST: u32 = 32;

struct Sum<'a> {
    chars: Vec<char>,
    at: usize,
    value: &'a dyn Fn(&str) -> Option<i64>,
}

/// The value of an expression; `value` knows the names.
pub(super) fn arithmetic(text: &str, value: &dyn Fn(&str) -> Option<i64>) -> Option<i64> {
    let chars = text.chars().filter(|c| !c.is_whitespace() && !"\"$".contains(*c)).collect();
    let mut sum = Sum { chars, at: 0, value };
    let found = sum.sum(0)?;
    (sum.at == sum.chars.len()).then_some(found)
}

impl Sum<'_> {
    fn next(&mut self, signs: &str) -> Option<char> {
        let sign = *self.chars.get(self.at).filter(|c| signs.contains(**c))?;
        self.at += 1;
        Some(sign)
    }

    fn sum(&mut self, depth: u32) -> Option<i64> {
        let mut left = self.product(depth)?;
        while let Some(sign) = self.next("+-") {
            let right = self.product(depth)?;
            left = if sign == '+' { left.checked_add(right) } else { left.checked_sub(right) }?;
        }
        Some(left)
    }

    fn product(&mut self, depth: u32) -> Option<i64> {
        let mut left = self.part(depth)?;
        while let Some(sign) = self.next("*/%") {
            let right = self.part(depth)?;
            left = match sign {
                '*' => left.checked_mul(right),
                '/' => left.checked_div(right),
                _ => left.checked_rem(right),
            }?;
        }
        Some(left)
    }

    fn part(&mut self, depth: u32) -> Option<i64> {
        if depth > DEEPEST {
            return None;
        }
        if self.next("-").is_some() {
            return self.part(depth + 1)?.checked_neg();
        }
        if self.next("(").is_some() {
            let inner = self.sum(depth + 1)?;
            return self.next(")").map(|_| inner);
        }
        let word: String = self.chars.get(self.at..)?.iter().take_while(|c| c.is_alphanumeric() || "_{}".contains(**c)).collect();
        self.at += word.chars().count();
        let name = word.trim_matches(['{', '}']);
        if name.chars().next()?.is_ascii_digit() { name.parse().ok() } else { (self.value)(name) }
    }
}
