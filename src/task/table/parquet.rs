//! Parquet files of flat columns, as CSV text that the reader of tables goes on with.
//!
//! The crate `parquet` takes longer to build than all of this program. Its metadata come from the structures that polars
//! uses; pages are decoded by [`super::pages`], after
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/>.

use polars_parquet_format::thrift::protocol::TCompactInputProtocol;
use polars_parquet_format::{
    ColumnMetaData, ConvertedType, FieldRepetitionType, FileMetaData, LogicalType, PageHeader, PageType, SchemaElement,
    TimeUnit, Type,
};

use super::pages::{self, Levels, Value};

/// What a file begins and ends with.
pub const MAGIC: &[u8] = b"PAR1";
/// Rows of a file, at most: a few bytes can stand for very many.
const MOST_ROWS: i64 = 100_000_000;

/// The file's rows as CSV with a header; what is missing is empty.
///
/// # Errors
/// What the file has that is not read, or how it is damaged.
pub fn to_csv(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let meta = metadata(bytes)?;
    let leaves = leaves(&meta.schema)?;
    if !(0..=MOST_ROWS).contains(&meta.num_rows) {
        return Err(format!("it has {} rows, more than {MOST_ROWS}", meta.num_rows));
    }
    let mut out = csv::Writer::from_writer(Vec::new());
    let wrote = |result: csv::Result<()>| result.map_err(|error| error.to_string());
    wrote(out.write_record(leaves.iter().map(|leaf| &leaf.name)))?;
    let mut left = meta.num_rows;
    for group in &meta.row_groups {
        if group.columns.len() != leaves.len() || !(0..=left).contains(&group.num_rows) {
            return Err(DAMAGED.to_owned());
        }
        left -= group.num_rows;
        let mut chunks = Vec::with_capacity(leaves.len());
        for (leaf, column) in leaves.iter().zip(&group.columns) {
            let meta = column.meta_data.as_ref().ok_or(DAMAGED)?;
            let chunk = leaf.chunk(bytes, meta, group.num_rows as usize);
            chunks.push(chunk.map_err(|problem| format!("column {:?}: {problem}", leaf.name))?);
        }
        for row in 0..group.num_rows as usize {
            wrote(out.write_record(chunks.iter().map(|chunk| chunk.cell(row))))?;
        }
    }
    out.into_inner().map_err(|error| error.to_string())
}

/// What is wrong with a file that contradicts itself.
pub const DAMAGED: &str = "the file is damaged or cut short; copy it again";

fn metadata(bytes: &[u8]) -> Result<FileMetaData, String> {
    let (rest, end) = bytes.split_last_chunk::<8>().ok_or(DAMAGED)?;
    if end[4..] == *b"PARE" {
        return Err("it is encrypted".to_owned());
    }
    let length = u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize;
    let start = rest.len().checked_sub(length).filter(|_| end[4..] == *MAGIC).ok_or(DAMAGED)?;
    let mut protocol = TCompactInputProtocol::new(&rest[start..], length.saturating_mul(8));
    FileMetaData::read_from_in_protocol(&mut protocol).map_err(|_| DAMAGED.to_owned())
}

/// A column as the schema describes it.
struct Leaf {
    name: String,
    physical: Type,
    optional: bool,
    meaning: Meaning,
}

/// What its values stand for.
#[derive(Clone, Copy)]
enum Meaning {
    /// What they are.
    Plain,
    /// Whole numbers from 0 up.
    Unsigned,
    /// Decimal numbers with so many places.
    Decimal(u32),
    /// Days since 1970.
    Days,
    /// Time since 1970, so many units a second.
    Time(i64),
}

fn leaves(schema: &[SchemaElement]) -> Result<Vec<Leaf>, String> {
    schema.get(1..).unwrap_or_default().iter().map(Leaf::new).collect()
}

impl Leaf {
    fn new(element: &SchemaElement) -> Result<Self, String> {
        let name = element.name.clone();
        let refused = |what: &str| format!("column {name:?} is {what}, which is not read");
        let repeated = element.repetition_type == Some(FieldRepetitionType::REPEATED);
        let physical = match element.type_ {
            Some(physical) if !repeated && element.num_children.unwrap_or(0) == 0 => physical,
            _ => return Err(refused("nested")),
        };
        if ![Type::BOOLEAN, Type::INT32, Type::INT64, Type::FLOAT, Type::DOUBLE, Type::BYTE_ARRAY].contains(&physical) {
            return Err(refused("of a type of fixed length"));
        }
        let meaning = match (&element.logical_type, element.converted_type) {
            (Some(LogicalType::DATE(_)), _) | (None, Some(ConvertedType::DATE)) => Meaning::Days,
            (Some(LogicalType::TIMESTAMP(time)), _) => Meaning::Time(match time.unit {
                TimeUnit::MILLIS(_) => 1_000,
                TimeUnit::MICROS(_) => 1_000_000,
                TimeUnit::NANOS(_) => 1_000_000_000,
            }),
            (None, Some(ConvertedType::TIMESTAMP_MILLIS)) => Meaning::Time(1_000),
            (None, Some(ConvertedType::TIMESTAMP_MICROS)) => Meaning::Time(1_000_000),
            (Some(LogicalType::TIME(_)), _) => return Err(refused("a time of day")),
            (Some(LogicalType::DECIMAL(decimal)), _) => Meaning::Decimal(decimal.scale.clamp(0, 18) as u32),
            (None, Some(ConvertedType::DECIMAL)) => Meaning::Decimal(element.scale.unwrap_or(0).clamp(0, 18) as u32),
            (Some(LogicalType::INTEGER(integer)), _) if !integer.is_signed => Meaning::Unsigned,
            (None, Some(ConvertedType::UINT_8 | ConvertedType::UINT_16)) => Meaning::Unsigned,
            (None, Some(ConvertedType::UINT_32 | ConvertedType::UINT_64)) => Meaning::Unsigned,
            _ => Meaning::Plain,
        };
        if matches!((meaning, physical), (Meaning::Decimal(_), Type::BYTE_ARRAY)) {
            return Err(refused("a decimal number of any length"));
        }
        let optional = element.repetition_type == Some(FieldRepetitionType::OPTIONAL);
        Ok(Self { name: element.name.clone(), physical, optional, meaning })
    }

    /// The column's rows in one group.
    fn chunk(&self, bytes: &[u8], meta: &ColumnMetaData, rows: usize) -> Result<Chunk, String> {
        let first = meta.dictionary_page_offset.filter(|place| *place > 0);
        let start = first.map_or(meta.data_page_offset, |place| place.min(meta.data_page_offset));
        let end = start.checked_add(meta.total_compressed_size).ok_or(DAMAGED)?;
        let range = usize::try_from(start).and_then(|start| Ok(start..usize::try_from(end)?)).map_err(|_| DAMAGED)?;
        let mut left = bytes.get(range).ok_or(DAMAGED)?;
        let mut chunk = Chunk { texts: vec![Vec::new()], cells: Vec::new() };
        let mut dictionary = 0..0;
        while chunk.cells.len() < rows {
            let most = left.len().saturating_mul(8);
            let header = PageHeader::read_from_in_protocol(&mut TCompactInputProtocol::new(&mut left, most));
            let header = header.map_err(|_| DAMAGED)?;
            let [packed, size] = [header.compressed_page_size, header.uncompressed_page_size].map(usize::try_from);
            let (packed, size) = (packed.map_err(|_| DAMAGED)?, size.map_err(|_| DAMAGED)?);
            let (body, rest) = left.split_at_checked(packed).ok_or(DAMAGED)?;
            left = rest;
            let unpack = |body: &[u8], size: usize| pages::unpack(meta.codec, body, size);
            let (count, levels, encoding, body) = match header.type_ {
                PageType::DICTIONARY_PAGE => {
                    let count = header.dictionary_page_header.ok_or(DAMAGED)?.num_values;
                    let page = unpack(body, size)?;
                    let values = pages::plain(self.physical, &page, length(count)?).ok_or(DAMAGED)?;
                    dictionary = chunk.add(self, &values);
                    continue;
                }
                PageType::DATA_PAGE => {
                    let of = header.data_page_header.ok_or(DAMAGED)?;
                    (of.num_values, Levels::InPage, of.encoding, unpack(body, size)?)
                }
                PageType::DATA_PAGE_V2 => {
                    let of = header.data_page_header_v2.ok_or(DAMAGED)?;
                    let [repetition, definition] =
                        [of.repetition_levels_byte_length, of.definition_levels_byte_length].map(length);
                    let (repetition, definition) = (repetition?, definition?);
                    let (levels, values) = body.split_at_checked(repetition + definition).ok_or(DAMAGED)?;
                    let values = match of.is_compressed {
                        Some(false) => values.to_vec(),
                        _ => unpack(values, size.saturating_sub(levels.len()))?,
                    };
                    (of.num_values, Levels::Apart(levels[repetition..].to_vec()), of.encoding, values)
                }
                _ => continue,
            };
            let count = length(count)?;
            if count > rows - chunk.cells.len() {
                return Err(DAMAGED.to_owned());
            }
            let mut body = body.as_slice();
            let there = match self.optional {
                true => Some(levels.read(&mut body, count).ok_or(DAMAGED)?),
                false => None,
            };
            let values = there.as_ref().map_or(count, |there| there.iter().filter(|level| **level == 1).count());
            let mut places = match pages::indices(encoding, body, values)? {
                Some(indices) => {
                    let place = |index| dictionary.start.checked_add(index).filter(|place| dictionary.contains(place));
                    indices.into_iter().map(place).collect::<Option<Vec<u32>>>().ok_or(DAMAGED)?
                }
                None => {
                    let values = pages::values(encoding, self.physical, body, values)?;
                    chunk.add(self, &values).collect()
                }
            }
            .into_iter();
            match there {
                None => chunk.cells.extend(places),
                Some(there) => {
                    let cell = |level: u32| if level == 1 { places.next().unwrap_or(0) } else { 0 };
                    chunk.cells.extend(there.into_iter().map(cell));
                }
            }
        }
        Ok(chunk)
    }

    fn text(&self, value: &Value<'_>) -> Vec<u8> {
        let text = match (self.meaning, value) {
            (_, Value::Bytes(bytes)) => return bytes.to_vec(),
            (_, Value::Bool(value)) => value.to_string(),
            (_, Value::Float(number)) => number.to_string(),
            (_, Value::Double(number)) => number.to_string(),
            (Meaning::Unsigned, Value::Int32(number)) => (*number as u32).to_string(),
            (Meaning::Unsigned, Value::Int64(number)) => (*number as u64).to_string(),
            (meaning, Value::Int32(number)) => whole(meaning, i64::from(*number)),
            (meaning, Value::Int64(number)) => whole(meaning, *number),
        };
        text.into_bytes()
    }
}

fn whole(meaning: Meaning, number: i64) -> String {
    let time = |units: i64| {
        let (seconds, part) = (number.div_euclid(units), number.rem_euclid(units) * (1_000_000_000 / units));
        jiff::Timestamp::new(seconds, part as i32).map(|time| time.to_string())
    };
    let text = match meaning {
        Meaning::Decimal(places @ 1..) => {
            let unit = 10u64.pow(places);
            let (before, after) = (number.unsigned_abs() / unit, number.unsigned_abs() % unit);
            let sign = if number < 0 { "-" } else { "" };
            return format!("{sign}{before}.{after:0width$}", width = places as usize);
        }
        Meaning::Days => jiff::Timestamp::from_second(number.saturating_mul(86_400))
            .map(|time| time.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()),
        Meaning::Time(units) => time(units),
        _ => return number.to_string(),
    };
    // A time that no calendar reaches.
    text.unwrap_or_else(|_| number.to_string())
}

fn length(count: i32) -> Result<usize, String> {
    usize::try_from(count).map_err(|_| DAMAGED.to_owned())
}

/// A column's texts and, for each row, which one it has; the first one is that of what is missing.
struct Chunk {
    texts: Vec<Vec<u8>>,
    cells: Vec<u32>,
}

impl Chunk {
    fn add(&mut self, leaf: &Leaf, values: &[Value<'_>]) -> std::ops::Range<u32> {
        let start = self.texts.len() as u32;
        self.texts.extend(values.iter().map(|value| leaf.text(value)));
        start..self.texts.len() as u32
    }

    fn cell(&self, row: usize) -> &[u8] {
        &self.texts[self.cells[row] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/tests/data/parquet/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn files_of_other_programs_are_read() {
        let expected = String::from_utf8(fixture("expected.csv")).unwrap();
        for name in ["pyarrow_snappy", "pyarrow_plain_gzip", "pyarrow_v2_zstd", "polars", "duckdb", "duckdb_v2"] {
            let text = to_csv(&fixture(&format!("{name}.parquet"))).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(String::from_utf8(text).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn what_is_not_read_is_named() {
        let error = to_csv(&fixture("pyarrow_brotli.parquet")).unwrap_err();
        assert_eq!(error, "column \"age\": its compression is not read; Snappy, gzip and Zstandard are");
        for bytes in [&b"PAR1"[..], b"PAR1PAR1", b"PAR1\xff\0\0\0PAR1", b"PAR1abcd\x02\0\0\0PAR1"] {
            assert_eq!(to_csv(bytes).unwrap_err(), DAMAGED, "{bytes:?}");
        }
        assert_eq!(to_csv(b"PAR1\0\0\0\0PARE").unwrap_err(), "it is encrypted");
    }

    #[test]
    fn damaged_files_end_in_errors_or_in_other_values() {
        for name in ["pyarrow_snappy.parquet", "pyarrow_v2_zstd.parquet", "duckdb.parquet"] {
            let whole = fixture(name);
            for length in (0..whole.len()).step_by(37) {
                assert!(to_csv(&whole[..length]).is_err());
            }
            for place in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[place] ^= 1 << (place % 8);
                let _ = to_csv(&damaged);
            }
        }
    }

    #[test]
    fn numbers_are_written_by_their_meaning() {
        assert_eq!(whole(Meaning::Decimal(2), -1205), "-12.05");
        assert_eq!(whole(Meaning::Days, -1), "1969-12-31");
        assert_eq!(whole(Meaning::Time(1000), 1500), "1970-01-01T00:00:01.5Z");
        assert_eq!(whole(Meaning::Days, i64::MAX), i64::MAX.to_string());
    }
}
