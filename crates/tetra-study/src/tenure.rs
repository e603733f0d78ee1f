//! Owned against rented: GPUs at one's own sites against the same GPUs rented with confidential computing, and halls built against halls leased.
//!
//! `USD/token = sum of chips(month) · USD per chip-month · discount / sum of tokens(month) · discount`, the same chips on both sides; rented ones
//! need the share more that confidential computing adds. Built halls take over from the month in which building and grid are ready; until then
//! all are leased. Leaves out: value of owned GPUs at the horizon, rents that change, GPUs to rent that are too few.

use tetra_quantity::{HOUR_S, MONTH_S, show_number};
use tetra_site::{Finance, Tenure, at_site};

use crate::compare::Worked;
use crate::confidential::{Added, Work};
use crate::evaluate::{Setting, Source};

const MONTH_HOURS: f64 = MONTH_S / HOUR_S;

/// The comparison: lines of owned and rented USD per million output tokens, and what it rests on.
pub fn tenure(setting: &Setting<'_>, worked: &[&Worked]) -> (Vec<(String, f64, f64)>, Vec<String>) {
    let rents: Vec<Rented<'_>> = worked.iter().filter_map(|w| Rented::of(setting, w)).collect();
    let total = |r: &Rented<'_>| r.all().1;
    let (mut lines, mut notes) = (Vec::new(), Vec::new());
    if let Some(best) = rents.iter().min_by(|a, b| total(a).total_cmp(&total(b))) {
        best.lines(setting, &mut lines);
        let others = rents.iter().filter(|r| !std::ptr::eq(*r, best));
        lines.extend(others.map(|r| (format!("{}, all services", r.gpu), r.all().0, r.all().1)));
        notes.extend(best.notes(setting));
    }
    let cheapest = worked.iter().min_by(|a, b| a.usd_per_token(setting).total_cmp(&b.usd_per_token(setting)));
    if let Some(halls) = cheapest.and_then(|w| Halls::of(setting, w)) {
        lines.push((format!("halls built against leased, {}", halls.option), halls.built, halls.leased));
        notes.push(halls.note());
    }
    (lines, notes)
}

/// One service on a GPU.
struct OnGpu {
    /// Discounted chip-hours.
    hours: f64,
    /// Discounted output tokens, millions.
    tokens: f64,
    /// USD per hour of an owned chip.
    usd: f64,
    /// What confidential computing adds.
    added: Added,
}

/// One GPU rented, against the same one owned, by service.
struct Rented<'a> {
    gpu: &'a str,
    services: Vec<OnGpu>,
    usd_per_hour: f64,
}

impl<'a> Rented<'a> {
    fn of(setting: &Setting<'_>, w: &'a Worked) -> Option<Self> {
        let Source::Rent { usd_per_month, .. } = w.source else { return None };
        let c = &setting.inputs.constants;
        let interruptions = 1.0 / c.cluster.failures.chip_time_per_interruption_s;
        let services = setting.study.services.iter().zip(&w.found.ability.services).enumerate().map(|(i, (s, serving))| {
            let stands = w.found.standing.stands.iter().filter(|stand| stand.part == i);
            let (usd, chips) = stands.fold((0.0, 0.0), |(usd, n), stand| (usd + stand.hour.usd_per_hour * stand.chips, n + stand.chips));
            let added = c.confidential.added(&Work::of(serving, s.prompt, s.output), interruptions);
            let hours = discounted(setting, |m| w.found.parts[i].chips[m] * MONTH_HOURS);
            let tokens = discounted(setting, |m| s.demand[m].value() * MONTH_S) * 1e-6;
            (chips > 0.0 && tokens > 0.0).then(|| OnGpu { hours, tokens, usd: usd / chips, added })
        });
        Some(Self {
            gpu: &w.chip.name,
            services: services.collect::<Option<_>>()?,
            usd_per_hour: usd_per_month * c.market.reserved_share / MONTH_HOURS,
        })
    }

    /// Owned and rented USD per million tokens of all services.
    fn all(&self) -> (f64, f64) {
        let tokens: f64 = self.services.iter().map(|s| s.tokens).sum();
        let owned: f64 = self.services.iter().map(|s| s.hours * s.usd).sum();
        let rented: f64 = self.services.iter().map(|s| s.hours * (1.0 + s.added.total()) * self.usd_per_hour).sum();
        (owned / tokens, rented / tokens)
    }

    fn lines(&self, setting: &Setting<'_>, lines: &mut Vec<(String, f64, f64)>) {
        let (owned, rented) = self.all();
        lines.push((format!("{}, all services", self.gpu), owned, rented));
        for (service, s) in setting.study.services.iter().zip(&self.services) {
            let per = s.hours / s.tokens;
            lines.push((service.name.clone(), per * s.usd, per * self.usd_per_hour * (1.0 + s.added.total())));
            let parts = s.added.parts().into_iter();
            lines.extend(parts.map(|(name, share)| (format!("{}: of it {name}", service.name), 0.0, per * self.usd_per_hour * share)));
        }
    }

    fn notes(&self, setting: &Setting<'_>) -> Vec<String> {
        let share = |s: &OnGpu| s.added.total() / (1.0 + s.added.total());
        let shares = setting.study.services.iter().zip(&self.services);
        let shares: Vec<String> = shares.map(|(s, found)| format!("{} % of {}", show_number(share(found) * 100.0), s.name)).collect();
        vec![
            format!("Owned: {} bought, in leased halls, without confidential computing, paid off over the life of servers.", self.gpu),
            format!("Rented: as many chips, reserved by the year at {} USD/h, with confidential computing, which is {} of the rent.", show_number(self.usd_per_hour), shares.join(", ")),
            "Confidential computing is counted by mechanism: copies over the bridge between host and accelerator, their bytes at the encrypted \
             rate, loading and attestation at restarts."
                .to_owned(),
        ]
    }
}

/// Discounted sum over the months.
fn discounted(setting: &Setting<'_>, of: impl Fn(usize) -> f64) -> f64 {
    let f = &setting.study.frame;
    (0..f.months as usize).map(|m| of(m) * f.discount_rate.discount(m)).sum()
}

/// Halls of an option built instead of leased.
struct Halls {
    option: String,
    leased: f64,
    built: f64,
    /// Site and the month from which its hall is built, if within the horizon.
    ready: Vec<(String, Option<u32>)>,
}

impl Halls {
    fn of(setting: &Setting<'_>, w: &Worked) -> Option<Self> {
        let stands = &w.found.standing.stands;
        let all: f64 = stands.iter().map(|s| s.chips).sum();
        if all <= 0.0 || matches!(w.source, Source::Rent { .. }) {
            return None;
        }
        let (c, months) = (&setting.inputs.constants.site, setting.study.frame.months);
        let build = Finance { tenure: Tenure::Build, ..setting.finance };
        let (mut usd, mut ready) = (0.0, Vec::new());
        for stand in stands {
            let site = setting.places[stand.place].site;
            let built = at_site(&stand.hour.machine, site, &build, c).ok()?.usd_per_hour;
            let from = site.months_until_ready(Tenure::Build, false, c).ceil().clamp(0.0, f64::from(u32::MAX)) as u32;
            let chips = |m: usize| if m < from as usize { 0.0 } else { w.outcome.own[m] * stand.chips / all };
            usd += discounted(setting, |m| chips(m) * MONTH_HOURS) * (built - stand.hour.usd_per_hour);
            ready.push((site.name.clone(), (from < months).then_some(from + 1)));
        }
        ready.sort();
        ready.dedup();
        let leased = w.usd_per_token(setting) * 1e6;
        let built = leased + usd * w.serving_share(setting) / setting.tokens.max(f64::MIN_POSITIVE) * 1e6;
        Some(Self { option: w.name.clone(), leased, built, ready })
    }

    fn note(&self) -> String {
        let when = |(site, month): &(String, Option<u32>)| match month {
            Some(month) => format!("{site} from month {month}"),
            None => format!("{site} not within the horizon"),
        };
        let ready: Vec<String> = self.ready.iter().map(when).collect();
        format!("Halls built (left) are ready when building and grid connection are, until then they are leased: {}.", ready.join(", "))
    }
}
