//! Model error by mechanism for the report: the rows `discrepancy` of the tables.
//!
//! A row holds half of the 80 % interval of `ln(measured/predicted)`, `w`; the report gives it as a factor less one, `e^w - 1`, with the row's
//! note on what it was measured. Leaves out: the factor by which the interval widens for a chip of which no measurement was seen.

use tetra_quantity::Tables;

use crate::report::ModelErrorReport;

/// One row per mechanism, as `data/discrepancy.csv` lists them.
pub fn model_error(tables: &Tables) -> Vec<ModelErrorReport> {
    let rows = tables.rows().iter().filter(|r| r.item == "discrepancy" && r.unit == "ln");
    rows.map(|r| ModelErrorReport { mechanism: r.parameter.clone(), half_width: r.value.exp_m1(), basis: r.note.clone() }).collect()
}
