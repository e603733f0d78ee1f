//! The verdict: build against the cheapest other option, in one sentence.
//!
//! The probability that build is cheaper decides the word: from 0.8 "Build", up to 0.2 "Buy" or "Rent", between them "Undecided"; without draws the base
//! case decides alone. Break-even volume: with design cost `F` and other cost linear
//! in volume, build and buy cost the same at the share `F / (C_buy - (C_build - F))` of the demand; break-even month: the first from which
//! cumulative discounted payments of build stay below.

use crate::study::Month;

/// What the verdict compares of one option.
#[derive(Debug, Clone, PartialEq)]
pub struct Contender {
    /// Name.
    pub name: String,
    /// Levelised cost of a million output tokens, dollars.
    pub usd_per_million: f64,
    /// Days of one training run at equal spend; 0 if nothing is trained.
    pub equal_spend_days: f64,
    /// Present value of the payments for serving, dollars.
    pub payments: f64,
    /// Of that, design cost.
    pub design: f64,
    /// Cumulative discounted payments by month.
    pub cumulative: Vec<f64>,
    /// Month in which the own kind serves first.
    pub first_month: Option<u32>,
}

/// What the draws say of build against the cheapest other option.
#[derive(Debug, Clone, PartialEq)]
pub struct Odds {
    /// P(build cheaper).
    pub build_cheaper: f64,
    /// The input worth knowing best.
    pub decides: Option<String>,
}

/// Probability from which the verdict is build, and up to which it is another option.
const SURE: (f64, f64) = (4.0 / 5.0, 1.0 / 5.0);

/// The sentence where worlds were drawn.
pub fn sentence_with(a: &Contender, b: &Contender, odds: &Odds, start: Month) -> String {
    let sure = format!(" P(build cheaper) = {}.", percent(odds.build_cheaper));
    if odds.build_cheaper >= SURE.0 {
        return build_sentence(a, b, start) + &sure;
    }
    if odds.build_cheaper <= SURE.1 {
        return buy_sentence(a, b) + &sure;
    }
    let decides = odds.decides.as_ref().map_or(String::new(), |d| format!("; what most needs to be known better: {d}"));
    format!(
        "Undecided: building costs {} and {} {} USD per million output tokens at the base case, and building is cheaper in {} of the worlds drawn{decides}.",
        cost(a),
        having(b),
        cost(b),
        percent(odds.build_cheaper)
    )
}

/// Buying or renting, in words.
fn having(c: &Contender) -> String {
    c.name.strip_prefix("Rent ").map_or_else(|| format!("buying {}", c.name), |chip| format!("renting {chip}"))
}

/// The verdict's first words for another option.
fn taking(c: &Contender) -> String {
    if c.name.starts_with("Rent ") { c.name.clone() } else { format!("Buy {}", c.name) }
}

/// The sentence; `compared` is how many GPUs the study names.
pub fn sentence(build: Option<&Contender>, others: &[Contender], compared: usize, start: Month) -> String {
    let best = others.iter().min_by(|a, b| a.usd_per_million.total_cmp(&b.usd_per_million));
    match (build, best) {
        (None, None) => "Undecided: no option can do what the study asks; the misfits say why.".to_owned(),
        (None, Some(b)) => format!("{}: {} USD per million output tokens; no custom chip of the grid fits.", taking(b), cost(b)),
        (Some(a), None) if compared == 0 => {
            format!("Build: {} USD per million output tokens; the study compares with no GPU.", cost(a))
        }
        (Some(a), None) => format!("Build: {} USD per million output tokens; no GPU that is compared fits.", cost(a)),
        (Some(a), Some(b)) if a.usd_per_million < b.usd_per_million => build_sentence(a, b, start),
        (Some(a), Some(b)) => buy_sentence(a, b),
    }
}

fn cost(c: &Contender) -> String {
    three(c.usd_per_million)
}

/// Three significant digits: more would claim a precision that no input has.
fn three(value: f64) -> String {
    let digits = (2 - value.abs().max(f64::MIN_POSITIVE).log10().floor() as i64).clamp(0, 6) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn build_sentence(a: &Contender, b: &Contender, start: Month) -> String {
    let less = percent(1.0 - a.usd_per_million / b.usd_per_million);
    let first = a.first_month.map_or(String::new(), |m| format!(", own chips from {} (month {m})", start.plus(m.saturating_sub(1))));
    let pays = payback(a, b).map_or("does not pay back within the horizon".to_owned(), |m| format!("pays back in month {m}"));
    let volume = break_even_share(a, b).map_or(String::new(), |s| format!(" and already at {} of this demand", percent(s)));
    format!(
        "Build: {} USD per million output tokens, {less} less than {} at {}{first}{}; {pays}{volume}.",
        cost(a),
        having(b),
        cost(b),
        training(a, b),
    )
}

/// How fast own chips train, once they are there; nothing where nothing is trained.
fn training(a: &Contender, b: &Contender) -> String {
    let faster = b.equal_spend_days / a.equal_spend_days;
    if faster.is_finite() && faster > 0.0 {
        format!(", which then train {} times as fast for the same spend", three(faster))
    } else {
        String::new()
    }
}

fn buy_sentence(a: &Contender, b: &Contender) -> String {
    let ratio = a.usd_per_million / b.usd_per_million.max(f64::MIN_POSITIVE);
    let more = if ratio < 1.0 {
        format!("{} less at the base case", percent(1.0 - ratio))
    } else if ratio < 2.0 {
        format!("{} more", percent(ratio - 1.0))
    } else {
        format!("{} times as much", three(ratio))
    };
    let volume = break_even_share(a, b);
    let volume = volume
        .map_or("at no volume would building win".to_owned(), |s| format!("building would win beyond {} times this demand", three(s)));
    format!("{}: {} USD per million output tokens; the best own chip would cost {more} ({}); {volume}.", taking(b), cost(b), cost(a))
}

/// Share of the demand from which build is cheaper, if any.
pub fn break_even_share(build: &Contender, other: &Contender) -> Option<f64> {
    let gain = other.payments - (build.payments - build.design);
    (gain > 0.0 && build.design > 0.0).then(|| build.design / gain)
}

/// Month from which cumulative discounted payments of build stay below the other's, with own chips in service: what a bridge saves before them is
/// no merit of theirs.
pub fn payback(build: &Contender, other: &Contender) -> Option<u32> {
    payback_of(&build.cumulative, &other.cumulative, build.first_month.map_or(1.0, f64::from))
}

/// The same of cumulative payments, with own chips in service from month `first`.
pub fn payback_of(build: &[f64], other: &[f64], first: f64) -> Option<u32> {
    let above = build.iter().zip(other).rposition(|(a, b)| a >= b).map_or(0, |m| m + 1);
    let month = above.max((first - 1.0).max(0.0) as usize);
    (month < build.len()).then(|| u32::try_from(month + 1).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn contender(name: &str, cost: f64, payments: f64, design: f64) -> Contender {
        Contender {
            name: name.into(),
            usd_per_million: cost,
            equal_spend_days: 90.0,
            payments,
            design,
            cumulative: vec![payments * 0.5, payments],
            first_month: Some(2),
        }
    }

    const START: Month = Month { year: 2027, month: 1 };

    #[test]
    fn sentences_follow_the_grammar() {
        let (own, gpu) = (contender("Build", 0.6, 3e9, 5e8), contender("H200", 1.2, 6e9, 0.0));
        assert_eq!(
            sentence(Some(&own), std::slice::from_ref(&gpu), 1, START),
            "Build: 0.6 USD per million output tokens, 50 % less than buying H200 at 1.2, own chips from 2027-02 (month 2), which then train 1 times as fast for the same spend; pays back in month 2 and already at 14 % of this demand."
        );
        let dear = contender("Build", 1.5, 7e9, 2e9);
        assert_eq!(
            sentence(Some(&dear), &[gpu], 1, START),
            "Buy H200: 1.2 USD per million output tokens; the best own chip would cost 25 % more (1.5); building would win beyond 2 times this demand."
        );
        assert!(sentence(None, &[], 0, START).starts_with("Undecided"));
        assert!(sentence(Some(&own), &[], 0, START).ends_with("the study compares with no GPU."));
        let serves_only = Contender { equal_spend_days: 0.0, ..own };
        let text = sentence(Some(&serves_only), &[Contender { equal_spend_days: 0.0, ..contender("H200", 1.2, 6e9, 0.0) }], 1, START);
        assert!(!text.contains("train"), "{text}");
        let far = contender("Build", 12.0, 7e10, 2e9);
        assert!(sentence(Some(&far), &[contender("H200", 1.2, 6e9, 0.0)], 1, START).contains("would cost 10 times as much (12)"));
    }

    proptest! {
        #[test]
        fn scaling_all_money_leaves_the_verdict(a in 0.1f64..10.0, b in 0.1f64..10.0, scale in 0.01f64..100.0) {
            let word = |k: f64| {
                let (x, y) = (contender("Build", a * k, a * k, 0.1 * a * k), contender("GPU", b * k, b * k, 0.0));
                sentence(Some(&x), &[y], 1, START).split(':').next().map(str::to_owned)
            };
            prop_assert_eq!(word(1.0), word(scale));
        }
    }
}
