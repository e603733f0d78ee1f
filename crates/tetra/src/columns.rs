//! The table of designs as Parquet: fixed order of rows and columns, one row group, Snappy; the same bytes for the same designs.

use std::sync::Arc;

use parquet::basic::{Compression, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use tetra_study::DesignRow;

use crate::failure::Failure;

enum Column {
    Count(Vec<i64>),
    Number(Vec<f64>),
    Text(Vec<ByteArray>),
    Flag(Vec<bool>),
}

fn columns(rows: &[DesignRow]) -> Vec<(&'static str, Column)> {
    let count = |f: fn(&DesignRow) -> u64| Column::Count(rows.iter().map(|r| i64::try_from(f(r)).unwrap_or(i64::MAX)).collect());
    let number = |f: fn(&DesignRow) -> f64| Column::Number(rows.iter().map(f).collect());
    let text = |f: fn(&DesignRow) -> &str| Column::Text(rows.iter().map(|r| ByteArray::from(f(r))).collect());
    let flag = |f: fn(&DesignRow) -> bool| Column::Flag(rows.iter().map(f).collect());
    vec![
        ("id", count(|r| r.id)),
        ("node", text(|r| &r.node)),
        ("dies", count(|r| r.dies)),
        ("cores", count(|r| r.cores)),
        ("arrays_per_core", count(|r| r.arrays_per_core)),
        ("array_rows", count(|r| r.array_rows)),
        ("array_columns", count(|r| r.array_columns)),
        ("lanes", count(|r| r.lanes)),
        ("local_bytes", number(|r| r.local_bytes)),
        ("global_bytes", number(|r| r.global_bytes)),
        ("hbm_kind", text(|r| &r.hbm_kind)),
        ("hbm_stacks", count(|r| r.hbm_stacks)),
        ("scale_up_bytes_per_s", number(|r| r.scale_up_bytes_per_s)),
        ("scale_up_domain", count(|r| r.scale_up_domain)),
        ("clock_hz", number(|r| r.clock_hz)),
        ("fate", text(|r| r.fate)),
        ("reason", text(|r| r.reason)),
        ("usd_per_million_output_tokens", number(|r| r.usd_per_million_output_tokens)),
        ("training_days", number(|r| r.training_days)),
        ("first_month", number(|r| r.first_month)),
        ("front", flag(|r| r.front)),
        ("planned", flag(|r| r.planned)),
    ]
}

/// The designs as a Parquet file.
///
/// # Errors
/// A fault of the writer.
pub fn parquet(rows: &[DesignRow]) -> Result<Vec<u8>, Failure> {
    write(&columns(rows)).map_err(|e| Failure::Fault(e.to_string()))
}

fn write(columns: &[(&'static str, Column)]) -> parquet::errors::Result<Vec<u8>> {
    let mut fields = Vec::new();
    for (name, column) in columns {
        let physical = match column {
            Column::Count(_) => Physical::INT64,
            Column::Number(_) => Physical::DOUBLE,
            Column::Text(_) => Physical::BYTE_ARRAY,
            Column::Flag(_) => Physical::BOOLEAN,
        };
        let mut field = Type::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED);
        if matches!(column, Column::Text(_)) {
            field = field.with_logical_type(Some(parquet::basic::LogicalType::String));
        }
        fields.push(Arc::new(field.build()?));
    }
    let schema = Arc::new(Type::group_type_builder("designs").with_fields(fields).build()?);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).set_created_by("tetra".into()).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for (_, column) in columns {
        let Some(mut open) = group.next_column()? else { break };
        match column {
            Column::Count(v) => open.typed::<Int64Type>().write_batch(v, None, None)?,
            Column::Number(v) => open.typed::<DoubleType>().write_batch(v, None, None)?,
            Column::Text(v) => open.typed::<ByteArrayType>().write_batch(v, None, None)?,
            Column::Flag(v) => open.typed::<BoolType>().write_batch(v, None, None)?,
        };
        open.close()?;
    }
    group.close()?;
    writer.into_inner()
}
