//! Rows of the tables that another world may move, and a site where its rows lie elsewhere.

use tetra_quantity::{Row, Tables, UsdPerJoule};
use tetra_site::Site;

/// Whether a row lies in a table of money, supply and time, and not in one of what chips do.
pub fn is_money_or_time(row: &Row) -> bool {
    const TABLES: [&str; 6] = ["foundry", "market", "site", "sites", "supply", "draws"];
    TABLES.contains(&row.table.trim_end_matches(".csv"))
}

/// A site with its prices and its grid's carbon where their rows lie.
pub fn moved(site: &Site, base: &Tables, drawn: &Tables) -> Site {
    let ratio = |of: &dyn Fn(&Tables) -> Option<f64>| match (of(base), of(drawn)) {
        (Some(b), Some(d)) if b > 0.0 => (d / b).max(0.0),
        _ => 1.0,
    };
    let row = |parameter: &'static str| move |t: &Tables| t.row(item_of(site, parameter), parameter).map(|r| r.value).ok();
    let mut out = site.clone();
    out.electricity.0 *= ratio(&|t| electricity(site, t));
    out.construction.0 *= ratio(&row("construction_price"));
    out.carbon.0 *= ratio(&row("grid_carbon"));
    out
}

/// Item under which a site finds a parameter: its own, or that of a fallback.
fn item_of<'s>(site: &'s Site, parameter: &str) -> &'s str {
    site.fallbacks.iter().find(|(p, _)| p == parameter).map_or(&site.key, |(_, item)| item)
}

/// Price of electricity from whichever rows a site has.
fn electricity(site: &Site, t: &Tables) -> Option<f64> {
    let price = |parameter: &str| t.quantity::<UsdPerJoule>(item_of(site, parameter), parameter).map(|p| p.value()).ok();
    let euros =
        || Some(t.number(&site.key, "electricity_price_eur", "EUR/kWh").ok()? * t.number("currency", "usd_per_eur", "USD/EUR").ok()?);
    price("electricity_price").or_else(euros).or_else(|| Some(price("wholesale_price")? + price("grid_fee")?))
}
