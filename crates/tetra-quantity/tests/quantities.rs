//! Laws and examples of units, text, tables and draws.

use proptest::prelude::*;
use tetra_quantity::{
    Bytes, BytesPerSecond, DataError, Fraction, Quantity, Rng, Seconds, SquareMetres, TableText, Tables, TokensPerSecond, Usd, quantile_of,
};

const SOURCES: &str = "[a]\ntitle=\"A\"\nurl=\"u\"\nkind=\"paper\"\n[b]\ntitle=\"B\"\nkind=\"assumption\"\n";
const HEADER: &str = "item,parameter,value,low,high,unit,year,source,factor,note\n";

fn tables(rows: &str) -> Result<Tables, Vec<DataError>> {
    let text = format!("{HEADER}source_kind,paper,0.1,,,1,,a,,\nsource_kind,assumption,0.5,,,1,,b,,\n{rows}");
    Tables::parse(&[TableText { name: "t.csv", text: &text }], SOURCES)
}

#[test]
fn text_reads_as_the_field_writes_it() {
    assert_eq!("3.35 TB/s".parse(), Ok(BytesPerSecond(3.35e12)));
    assert_eq!("80 GB".parse(), Ok(Bytes(80e9)));
    assert_eq!("80 GiB".parse(), Ok(Bytes(80.0 * 1024.0 * 1024.0 * 1024.0)));
    assert_eq!("814mm2".parse(), Ok(SquareMetres(814.0 * 1e-6)));
    assert_eq!("2 M tokens/s".parse(), Ok(TokensPerSecond(2e6)));
    assert_eq!("30 ms".parse::<Seconds>().map(|s| (s.value() * 1e3).round()), Ok(30.0));
    assert_eq!("10 %".parse(), Ok(Fraction(0.1)));
    assert_eq!("400 Gbit/s".parse(), Ok(BytesPerSecond(5e10)));
}

#[test]
fn broken_text_says_what_would_be_right() {
    let message = |t: &str| t.parse::<Bytes>().unwrap_err().to_string();
    assert_eq!(message("GB"), "\"GB\" does not begin with a number: write a value and its unit, for example \"80 GB\"");
    assert_eq!(message("80 GHz"), "unit \"GHz\" of \"80 GHz\" is not a unit of an amount of data: write for example \"80 GB\"");
    assert_eq!(message("1e400 GB"), "\"1e400 GB\" is not a finite number");
    assert!("".parse::<Seconds>().is_err() && "NaN s".parse::<Seconds>().is_err() && "inf s".parse::<Seconds>().is_err());
}

#[test]
fn printing_chooses_a_sensible_prefix() {
    assert_eq!(BytesPerSecond(3.35e12).to_string(), "3.35 TB/s");
    assert_eq!(Seconds(0.03).to_string(), "30 ms");
    assert_eq!(Seconds(90.0 * 86_400.0).to_string(), "90 days");
    assert_eq!(SquareMetres(814e-6).to_string(), "814 mm2");
    assert_eq!(Fraction(0.1).to_string(), "10 %");
    assert_eq!(Usd(1.698e4).to_string(), "16,980 USD");
    assert_eq!(Usd(2.243e9).to_string(), "2.243 bn USD");
    assert_eq!("2.243 bn USD".parse(), Ok(Usd(2.243 * 1e9)));
    assert_eq!(TokensPerSecond(2e6).to_string(), "2 M tokens/s");
    assert_eq!(tetra_quantity::show_number(1_234_567.0), "1,234,567");
}

#[test]
fn tables_report_every_mistake_at_once() {
    let errors = tables("x,y,oops,,,W,,a,,\nx,z,1,2,3,W,,a,,\nx,w,1,,,W,,nobody,,\nx,v,1,,\nx,u,1,,,W,,a,,\nx,u,1,,,W,,a,,\n").unwrap_err();
    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), 5, "{text:#?}");
    assert_eq!(text[0], "t.csv:4: column value holds \"oops\", not a finite number: write a plain number");
    assert!(text[1].contains("low 2 <= value 1"), "{}", text[1]);
    assert!(text[2].contains("source \"nobody\" is not in sources.toml"));
}

#[test]
fn a_blank_range_takes_the_width_of_its_kind_of_source() {
    let t = tables("x,y,10,,,W,,a,,\nx,z,10,9,,W,,b,,\n").unwrap();
    let y = t.row("x", "y").unwrap();
    assert_eq!((y.low, y.high), (9.0, 11.0));
    let z = t.row("x", "z").unwrap();
    assert_eq!((z.low, z.high), (9.0, 15.0));
}

#[test]
fn a_missing_row_and_a_wrong_unit_are_named() {
    let t = tables("x,price_per_gb,10,,,USD/GB,,a,,\n").unwrap();
    assert!(t.row("x", "price").unwrap_err().to_string().contains("did you mean \"x,price_per_gb\""));
    assert!(t.quantity::<Bytes>("x", "price_per_gb").unwrap_err().to_string().contains("an amount of data is needed"));
    assert_eq!(t.number("x", "price_per_gb", "USD/GB"), Ok(10.0));
}

#[test]
fn rows_of_one_factor_move_together_and_others_do_not() {
    let t = tables("p,y,10,8,12,W,,a,hbm,\nq,y,100,80,120,W,,a,hbm,\nr,y,10,8,12,W,,a,,\n").unwrap();
    let draws: Vec<_> = (0..200).map(|d| t.sample(7, d)).collect();
    assert!(draws.iter().all(|t| (t.row("p", "y").unwrap().value * 10.0 - t.row("q", "y").unwrap().value).abs() < 1e-9));
    assert!(draws.iter().any(|t| (t.row("p", "y").unwrap().value - t.row("r", "y").unwrap().value).abs() > 0.5));
    let below = draws.iter().filter(|t| t.row("p", "y").unwrap().value < 8.0).count();
    assert!((8..40).contains(&below), "a tenth lies below P10, found {below} of 200");
}

#[test]
fn an_override_keeps_the_relative_width() {
    let mut t = tables("x,y,10,9,12,W,,a,,\n").unwrap();
    t.override_row("x.y", 20.0).unwrap();
    let row = t.row("x", "y").unwrap();
    assert_eq!((row.value, row.low, row.high, row.overridden), (20.0, 18.0, 24.0, true));
    assert!(t.override_row("x.nope", 1.0).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        let _ = text.parse::<Bytes>();
        let _ = text.parse::<Usd>();
        let _ = text.parse::<Fraction>();
        let _ = Tables::parse(&[TableText { name: "x", text: &text }], &text);
    }

    #[test]
    fn numbers_with_units_never_panic(value in proptest::num::f64::ANY, unit in "[a-zA-Z/%µ²°0-9 ]{0,8}") {
        let _ = format!("{value}{unit}").parse::<Seconds>();
        let _ = format!("{value:e} {unit}").parse::<BytesPerSecond>();
    }

    #[test]
    fn printed_quantities_read_back(value in 1e-9f64..1e17) {
        let read: BytesPerSecond = BytesPerSecond(value).to_string().replace(',', "").parse().unwrap();
        prop_assert!((read.value() / value - 1.0).abs() < 2e-3, "{value} {read}");
    }

    #[test]
    fn quantiles_meet_their_bounds_and_rise(low in 0.1f64..1.0, step in 0.0f64..2.0, up in 0.0f64..2.0, u in 0.001f64..0.998) {
        let (mid, high) = (low + step, low + step + up);
        prop_assert!((quantile_of(0.1, low, mid, high) - low).abs() < 1e-6 * high);
        prop_assert!((quantile_of(0.9, low, mid, high) - high).abs() < 1e-6 * high);
        prop_assert!(quantile_of(u, low, mid, high) <= quantile_of(u + 0.001, low, mid, high) + 1e-12);
    }

    #[test]
    fn streams_depend_on_seed_draw_and_name_alone(seed: u64, draw in 0u64..1000) {
        prop_assert_eq!(Rng::new(seed, draw, "a").next_u64(), Rng::new(seed, draw, "a").next_u64());
        prop_assert_ne!(Rng::new(seed, draw, "a").next_u64(), Rng::new(seed, draw, "b").next_u64());
        let u = Rng::new(seed, draw, "a").uniform();
        prop_assert!(u > 0.0 && u < 1.0);
    }
}

#[test]
fn products_have_the_right_kind() {
    let t: Seconds = Bytes(6.7e12) / BytesPerSecond(3.35e12);
    assert_eq!(t, Seconds(2.0));
    assert_eq!(Seconds::KIND, "a time");
}
