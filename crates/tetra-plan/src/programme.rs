//! A mixed-integer linear programme as plain data: minimise `cost · x` with bounds on columns and rows.

/// Row-wise sparse programme.
#[derive(Debug, Clone, Default)]
pub(crate) struct Programme {
    pub cost: Vec<f64>,
    pub lower: Vec<f64>,
    pub upper: Vec<f64>,
    pub integer: Vec<bool>,
    pub row_lower: Vec<f64>,
    pub row_upper: Vec<f64>,
    /// Position in `index` at which each row starts.
    pub start: Vec<usize>,
    pub index: Vec<usize>,
    pub value: Vec<f64>,
}

impl Programme {
    /// Adds a column and gives its index.
    pub fn column(&mut self, lower: f64, upper: f64, integer: bool) -> usize {
        self.cost.push(0.0);
        self.lower.push(lower);
        self.upper.push(upper);
        self.integer.push(integer);
        self.cost.len() - 1
    }

    /// Adds a row `lower <= sum(value · x) <= upper` and gives its index. Entries of one column are summed.
    pub fn row(&mut self, lower: f64, upper: f64, entries: &[(usize, f64)]) -> usize {
        let first = self.index.len();
        self.start.push(first);
        for &(column, value) in entries.iter().filter(|(_, v)| *v != 0.0) {
            match self.index[first..].iter().position(|&c| c == column) {
                Some(at) => self.value[first + at] += value,
                None => {
                    self.index.push(column);
                    self.value.push(value);
                }
            }
        }
        self.row_lower.push(lower);
        self.row_upper.push(upper);
        self.row_lower.len() - 1
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.cost.len()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.row_lower.len()
    }

    /// Entries of one row.
    pub fn entries(&self, row: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let end = self.start.get(row + 1).copied().unwrap_or(self.index.len());
        (self.start[row]..end).map(|i| (self.index[i], self.value[i]))
    }

    /// The same programme with only some rows.
    pub fn only_rows(&self, rows: &[usize]) -> Self {
        let mut out =
            Self { row_lower: Vec::new(), row_upper: Vec::new(), start: Vec::new(), index: Vec::new(), value: Vec::new(), ..self.clone() };
        for &r in rows {
            let entries: Vec<_> = self.entries(r).collect();
            out.row(self.row_lower[r], self.row_upper[r], &entries);
        }
        out
    }
}

/// Values, and duals of the programme with its integers fixed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Solution {
    pub objective: f64,
    /// Proven lower bound of the objective.
    pub bound: f64,
    pub value: Vec<f64>,
    /// Change of the objective per unit of a row's bound.
    pub row_dual: Vec<f64>,
    /// Change of the objective per unit of a column's bound.
    pub column_dual: Vec<f64>,
}

/// What a solver says.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The best found, inside the gap or at the node limit.
    Solved(Solution),
    /// No values satisfy all rows and bounds.
    Infeasible,
    /// It stopped without values.
    Stopped(&'static str),
}
