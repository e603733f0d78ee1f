//! Suppliers and their interruptions as a plan takes them.

use tetra_plan::{Outage, OutageTable, PlanConstants, PlanError, SupplierTable};
use tetra_quantity::Tables;

/// Suppliers and what the plan knows of the world.
#[derive(Debug, Clone)]
pub struct Supply {
    /// Suppliers.
    pub table: SupplierTable,
    /// Numbers about no single supplier.
    pub constants: PlanConstants,
    /// Interruptions that a plan is tried against.
    pub outages: Vec<Outage>,
}

impl Supply {
    /// Reads suppliers and outages.
    ///
    /// # Errors
    /// Broken texts or missing rows.
    pub fn read(tables: &Tables, suppliers: &str, outages: &str) -> Result<Self, PlanError> {
        let constants = PlanConstants::from_tables(tables)?;
        let outages = OutageTable::parse(outages, &constants)?.outages.into_iter().map(|o| o.1).collect();
        Ok(Self { table: SupplierTable::parse(suppliers, tables)?, constants, outages })
    }
}
