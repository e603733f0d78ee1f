//! The options side by side: Build with the best planned chip of the grid, and every GPU that the study compares with.

use tetra_chip::Chip;
use tetra_quantity::{DAY_S, Fraction};

use crate::cashflow::LineKind;
use crate::evaluate::{Found, Misfit, Setting, Source, carbon_kg, export_class};
use crate::outcome::Outcome;
use crate::report::{Figure, OptionFigures};
use crate::verdict::Contender;

/// One option, worked out.
#[derive(Debug)]
pub struct Worked {
    /// `Build` or the GPU's name.
    pub name: String,
    /// The chip.
    pub chip: Chip,
    /// How it is had.
    pub source: Source,
    /// What it can do and costs.
    pub found: Found,
    /// What it comes to over the horizon.
    pub outcome: Outcome,
    /// Its index in the grid, for a custom chip.
    pub id: Option<usize>,
}

impl Worked {
    /// The chip's name in words: a custom one is the study's own.
    pub fn model_name(&self) -> &str {
        if self.id.is_some() { "the own chip" } else { &self.chip.name }
    }

    /// Days of one training run, and at equal spend.
    pub fn days(&self) -> [f64; 2] {
        let longest = self.found.ability.trainings.iter().map(|t| t.time.value() / DAY_S).fold(0.0, f64::max);
        // What a rented fleet of the reference spend would do is not worked out.
        let rented = matches!(self.source, Source::Rent { .. });
        [longest, if rented { f64::NAN } else { self.found.goals()[1] }]
    }

    /// Whether the capacity of a supplier of its own kind holds the plan back.
    pub fn supply_binds(&self) -> bool {
        #[cfg(feature = "plan")]
        return self.outcome.plan.as_ref().is_some_and(|p| p.shadow_prices.iter().any(|s| s.name.starts_with("capacity of")));
        #[cfg(not(feature = "plan"))]
        false
    }

    /// Share of serving in the chip-months, bridging machines included.
    pub fn serving_share(&self, setting: &Setting<'_>) -> f64 {
        if matches!(self.source, Source::Rent { .. }) {
            return self.found.own_share;
        }
        setting.blended_share(self.found.own_share, &self.outcome.bought, &self.outcome.rented)
    }

    /// Levelised cost of an output token, dollars.
    pub fn usd_per_token(&self, setting: &Setting<'_>) -> f64 {
        self.outcome.payments(setting.study.frame.discount_rate) * self.serving_share(setting) / setting.tokens.max(f64::MIN_POSITIVE)
    }

    /// Cost of one training run, dollars.
    pub fn usd_per_run(&self, setting: &Setting<'_>) -> f64 {
        let runs = setting.discounted_runs();
        let share = 1.0 - self.serving_share(setting);
        if runs > 0.0 { self.outcome.payments(setting.study.frame.discount_rate) * share / runs } else { 0.0 }
    }

    /// Carbon over the horizon by part, kg.
    pub fn carbon(&self, setting: &Setting<'_>) -> Vec<(&'static str, f64)> {
        let own = carbon_kg(&self.outcome.own, &self.found.standing.unit);
        let bridge = setting.bridge.as_ref();
        let bought = bridge.map_or(0.0, |b| carbon_kg(&self.outcome.bought, &b.unit));
        let rented_unit =
            if matches!(self.source, Source::Rent { .. }) { Some(&self.found.standing.unit) } else { bridge.map(|b| &b.unit) };
        let rented = rented_unit.map_or(0.0, |u| self.outcome.rented.iter().sum::<f64>() * u.kg_per_year / 12.0);
        vec![("own kind, made and run", own), ("bought for the bridge, made and run", bought), ("rented, run", rented)]
    }

    /// Carbon over the horizon, kg.
    pub fn kg_co2e(&self, setting: &Setting<'_>) -> f64 {
        self.carbon(setting).iter().map(|part| part.1).sum()
    }

    /// What the verdict compares.
    pub fn contender(&self, setting: &Setting<'_>) -> Contender {
        let rate = setting.study.frame.discount_rate;
        let design: f64 = self.source.nre(setting.study.frame.months as usize).iter().map(|&(m, usd)| usd * rate.discount(m)).sum();
        let serving = self.serving_share(setting);
        Contender {
            name: self.name.clone(),
            usd_per_million: self.usd_per_token(setting) * 1e6,
            equal_spend_days: self.days()[1],
            payments: self.outcome.payments(rate) * serving,
            design: design * serving,
            cumulative: self.cumulative(setting),
            first_month: self.outcome.first_month,
        }
    }

    /// Cumulative discounted payments by month, dollars; the value at the end comes in the last month.
    pub fn cumulative(&self, setting: &Setting<'_>) -> Vec<f64> {
        let mut sum = 0.0;
        let month = |m: usize| -> f64 {
            let of = |l: &crate::cashflow::Line| l.usd.get(m).copied().unwrap_or(0.0);
            self.outcome.ledger.lines.iter().map(of).sum::<f64>() * setting.study.frame.discount_rate.discount(m)
        };
        (0..self.outcome.ledger.months)
            .map(|m| {
                sum += month(m);
                sum
            })
            .collect()
    }

    /// Chips in service at the end: owned, or, where all are rented, rented.
    pub fn chips(&self) -> f64 {
        let last = |v: &[f64]| v.last().copied().unwrap_or(0.0);
        let rented = if matches!(self.source, Source::Rent { .. }) { last(&self.outcome.rented) } else { 0.0 };
        last(&self.outcome.own) + last(&self.outcome.bought) + rented
    }

    /// The headline figures.
    pub fn figures(&self, setting: &Setting<'_>) -> OptionFigures {
        let o = &self.outcome;
        // Not a number is written as null: there is no run.
        let run = |value: f64| if setting.study.trainings.is_empty() { f64::NAN } else { value };
        let days = self.days();
        let fresh = |name: &str| Figure::exact(name.to_owned(), "");
        OptionFigures {
            name: self.name.clone(),
            usd_per_million_output_tokens: Figure::exact(self.usd_per_token(setting) * 1e6, "USD/Mtokens"),
            capex_usd: Figure::exact(o.capex(), "USD"),
            opex_usd_per_year: Figure::exact(o.opex_per_year(), "USD/year"),
            chips: Figure::exact(self.chips(), "chips"),
            it_mw: Figure::exact(o.it_w * 1e-6, "MW"),
            training_days: Figure::exact(run(days[0]), "days"),
            training_days_at_equal_spend: Figure::exact(run(days[1]), "days"),
            training_usd_per_run: Figure::exact(run(self.usd_per_run(setting)), "USD"),
            first_month: Figure::exact(o.first_month, "month"),
            full_month: Figure::exact(o.full_month, "month"),
            kg_co2e: Figure::exact(self.kg_co2e(setting), "kg"),
            export_class: fresh(export_class(&self.chip, setting.inputs)),
            misfits: Vec::new(),
            notes: self.notes(setting),
        }
    }

    /// Own chips that are never made, and demand that is not met, where it weighs in the cost.
    fn notes(&self, setting: &Setting<'_>) -> Vec<String> {
        let payments = self.outcome.payments(setting.study.frame.discount_rate);
        let share = self.value_of(setting, LineKind::Penalty) / payments.max(f64::MIN_POSITIVE);
        let unmet = 1.0 - self.outcome.served.last().copied().unwrap_or(1.0);
        let mut notes = Vec::new();
        if self.id.is_some() && self.outcome.first_month.is_none() {
            notes.push("own chips are designed, but none is worth making: bought and rented machines serve everything".to_owned());
        }
        // A first month in which nothing can stand yet is no news.
        if self.outcome.full_month.is_some() && share < 0.1 {
            return notes;
        }
        let met = match self.outcome.full_month {
            Some(month) => format!("not all demand is met before month {month}"),
            None => format!("{} of the demand is still unmet in the last month", Fraction(unmet)),
        };
        notes.push(format!("{met}; the penalty for it is {} of the cost", Fraction(share)));
        notes
    }

    /// Present value of one kind of payments, dollars.
    pub fn value_of(&self, setting: &Setting<'_>, kind: LineKind) -> f64 {
        self.outcome.ledger.by_line(setting.study.frame.discount_rate).filter(|(l, _)| l.kind == kind).map(|(_, usd)| usd).sum()
    }
}

/// The figures of an option that cannot do the study.
pub fn misfit_figures(name: &str, why: &[String]) -> OptionFigures {
    // Not a number is written as null.
    let none = |unit| Figure::exact(f64::NAN, unit);
    OptionFigures {
        name: name.to_owned(),
        usd_per_million_output_tokens: none("USD/Mtokens"),
        capex_usd: none("USD"),
        opex_usd_per_year: none("USD/year"),
        chips: none("chips"),
        it_mw: none("MW"),
        training_days: none("days"),
        training_days_at_equal_spend: none("days"),
        training_usd_per_run: none("USD"),
        first_month: Figure::exact(None, "month"),
        full_month: Figure::exact(None, "month"),
        kg_co2e: none("kg"),
        export_class: Figure::exact(String::new(), ""),
        misfits: why.to_vec(),
        notes: Vec::new(),
    }
}

/// A misfit in words.
pub fn words(misfit: &Misfit, setting: &Setting<'_>) -> String {
    use crate::misfit::AbilityMisfit;
    let service = |i: usize| setting.study.services.get(i).map_or("?", |s| s.name.as_str());
    let run = |i: usize| setting.study.trainings.get(i).map_or("?", |t| t.name.as_str());
    match misfit {
        Misfit::Build(m) => m.to_string(),
        Misfit::Make(m) => m.to_string(),
        Misfit::Do(AbilityMisfit::Serve(i, m)) => format!("{}: {m}", service(*i)),
        Misfit::Do(AbilityMisfit::Train(i, m)) => format!("{}: {m}", run(*i)),
        Misfit::Stand(m) => m.to_string(),
        Misfit::Countries { stage } => {
            format!(
                "too few countries supply {stage} for its process under [supply]: take another node, or allow more countries or a larger share"
            )
        }
        Misfit::Export { part, place, class } => {
            let site = setting.places[*place].site;
            let runs = setting.study.trainings.iter().map(|t| &t.name);
            let name = setting.study.services.iter().map(|s| &s.name).chain(runs).nth(*part).map_or("?", |n| n.as_str());
            let (class, most) = (class.word(), setting.study.export.map_or("", tetra_foundry::ExportClass::word));
            format!(
                "{name}: chips of class {class} need a licence for {} ({}), and `largest_class` is {most}: raise it or process the data elsewhere",
                site.name, site.country
            )
        }
        Misfit::Late { months } => {
            format!("first volume comes after {months} months, the horizon is shorter: lengthen `months` or take an older node")
        }
    }
}
