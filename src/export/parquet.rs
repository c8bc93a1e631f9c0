//! Parquet files: optional columns, plain values, pages compressed with gzip, which every reader knows.
//!
//! The crate `parquet` takes longer to build than all of this program; here its metadata come from the structures that
//! polars uses, and the encoding of values is the plain one of
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/>.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use polars_parquet_format::thrift::protocol::TCompactOutputProtocol;
use polars_parquet_format::{
    ColumnChunk, ColumnMetaData, CompressionCodec, ConvertedType, DataPageHeader, Encoding, FieldRepetitionType,
    FileMetaData, LogicalType, PageHeader, PageType, RowGroup, SchemaElement, Type,
};

use super::table::{Cell, Column, Kind, TableWriter};

/// Rows that are kept in memory and written together.
const GROUP: usize = 1 << 16;
const MAGIC: &[u8; 4] = b"PAR1";

pub struct Writer {
    file: Box<dyn Write>,
    columns: Vec<Column>,
    /// The cells of the group under way, by column.
    cells: Vec<Vec<Cell>>,
    groups: Vec<RowGroup>,
    /// Bytes written so far.
    place: i64,
    rows: i64,
}

impl TableWriter for Writer {
    const EXTENSION: &'static str = "parquet";

    fn begin(mut file: Box<dyn Write>, columns: Vec<Column>) -> io::Result<Self> {
        file.write_all(MAGIC)?;
        let cells = columns.iter().map(|_| Vec::new()).collect();
        Ok(Self { file, columns, cells, groups: Vec::new(), place: MAGIC.len() as i64, rows: 0 })
    }

    fn add(&mut self, row: Vec<Cell>) -> io::Result<()> {
        self.cells.iter_mut().zip(row).for_each(|(cells, cell)| cells.push(cell));
        if self.cells.first().map_or(0, Vec::len) >= GROUP { self.group() } else { Ok(()) }
    }

    fn end(mut self) -> io::Result<()> {
        self.group()?;
        let root = SchemaElement {
            name: "schema".to_owned(),
            num_children: Some(length(self.columns.len())?),
            ..element(Kind::Int)
        };
        let root = SchemaElement { type_: None, repetition_type: None, ..root };
        let fields =
            self.columns.iter().map(|column| SchemaElement { name: column.name.clone(), ..element(column.kind) });
        let meta = FileMetaData {
            version: 1,
            schema: std::iter::once(root).chain(fields).collect(),
            num_rows: self.rows,
            row_groups: std::mem::take(&mut self.groups),
            key_value_metadata: None,
            created_by: Some(format!("cvae version {}", env!("CARGO_PKG_VERSION"))),
            column_orders: None,
            encryption_algorithm: None,
            footer_signing_key_metadata: None,
        };
        let mut bytes = Vec::new();
        meta.write_to_out_protocol(&mut TCompactOutputProtocol::new(&mut bytes)).map_err(io::Error::other)?;
        self.file.write_all(&bytes)?;
        self.file.write_all(&length(bytes.len())?.to_le_bytes())?;
        self.file.write_all(MAGIC)?;
        self.file.flush()
    }
}

impl Writer {
    /// Writes the rows in memory.
    fn group(&mut self) -> io::Result<()> {
        let rows = self.cells.first().map_or(0, Vec::len);
        if rows == 0 {
            return Ok(());
        }
        let (start, mut bytes, mut chunks) = (self.place, 0, Vec::with_capacity(self.columns.len()));
        for place in 0..self.columns.len() {
            let cells = std::mem::take(&mut self.cells[place]);
            let chunk = self.chunk(&self.columns[place].clone(), &cells)?;
            bytes += chunk.total_uncompressed_size;
            chunks.push(ColumnChunk {
                file_path: None,
                file_offset: chunk.data_page_offset,
                meta_data: Some(chunk),
                offset_index_offset: None,
                offset_index_length: None,
                column_index_offset: None,
                column_index_length: None,
                crypto_metadata: None,
                encrypted_column_metadata: None,
            });
        }
        self.rows += rows as i64;
        self.groups.push(RowGroup {
            columns: chunks,
            total_byte_size: bytes,
            num_rows: rows as i64,
            sorting_columns: None,
            file_offset: Some(start),
            total_compressed_size: Some(self.place - start),
            ordinal: None,
        });
        Ok(())
    }

    /// Writes a column of a group as one page.
    fn chunk(&mut self, column: &Column, cells: &[Cell]) -> io::Result<ColumnMetaData> {
        let start = self.place;
        let mut page = levels(cells)?;
        values(column.kind, cells, &mut page)?;
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&page)?;
        let packed = packed.finish()?;
        let header = PageHeader {
            type_: PageType::DATA_PAGE,
            uncompressed_page_size: length(page.len())?,
            compressed_page_size: length(packed.len())?,
            crc: None,
            data_page_header: Some(DataPageHeader {
                num_values: length(cells.len())?,
                encoding: Encoding::PLAIN,
                definition_level_encoding: Encoding::RLE,
                repetition_level_encoding: Encoding::RLE,
                statistics: None,
            }),
            index_page_header: None,
            dictionary_page_header: None,
            data_page_header_v2: None,
        };
        let mut head = Vec::new();
        header.write_to_out_protocol(&mut TCompactOutputProtocol::new(&mut head)).map_err(io::Error::other)?;
        for bytes in [&head, &packed] {
            self.file.write_all(bytes)?;
            self.place += bytes.len() as i64;
        }
        Ok(ColumnMetaData {
            type_: physical(column.kind),
            encodings: vec![Encoding::PLAIN, Encoding::RLE],
            path_in_schema: vec![column.name.clone()],
            codec: CompressionCodec::GZIP,
            num_values: cells.len() as i64,
            total_uncompressed_size: (head.len() + page.len()) as i64,
            total_compressed_size: self.place - start,
            key_value_metadata: None,
            data_page_offset: start,
            index_page_offset: None,
            dictionary_page_offset: None,
            statistics: None,
            encoding_stats: None,
            bloom_filter_offset: None,
            bloom_filter_length: None,
            size_statistics: None,
        })
    }
}

fn physical(kind: Kind) -> Type {
    match kind {
        Kind::Int => Type::INT64,
        Kind::Float => Type::DOUBLE,
        Kind::Text => Type::BYTE_ARRAY,
        Kind::Bool => Type::BOOLEAN,
    }
}

/// The description of a column without its name.
fn element(kind: Kind) -> SchemaElement {
    let text = kind == Kind::Text;
    SchemaElement {
        type_: Some(physical(kind)),
        type_length: None,
        repetition_type: Some(FieldRepetitionType::OPTIONAL),
        name: String::new(),
        num_children: None,
        converted_type: text.then_some(ConvertedType::UTF8),
        scale: None,
        precision: None,
        field_id: None,
        logical_type: text.then(|| LogicalType::STRING(Default::default())),
    }
}

fn length(bytes: usize) -> io::Result<i32> {
    i32::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

/// Which cells are there, as runs of the levels 1 and 0 after their length in bytes.
fn levels(cells: &[Cell]) -> io::Result<Vec<u8>> {
    let mut runs = Vec::new();
    for run in cells.chunk_by(|a, b| (*a == Cell::Null) == (*b == Cell::Null)) {
        // A run's length as a varint, whose lowest bit says that it is no run of packed bits.
        let mut head = run.len() << 1;
        while head >= 0x80 {
            runs.push((head & 0x7f) as u8 | 0x80);
            head >>= 7;
        }
        runs.extend([head as u8, u8::from(run[0] != Cell::Null)]);
    }
    let mut page = length(runs.len())?.to_le_bytes().to_vec();
    page.extend(runs);
    Ok(page)
}

/// The cells that are there, plainly encoded.
fn values(kind: Kind, cells: &[Cell], page: &mut Vec<u8>) -> io::Result<()> {
    let mut bits = Vec::new();
    for cell in cells {
        match cell {
            Cell::Null => {}
            Cell::Int(number) => page.extend(number.to_le_bytes()),
            Cell::Float(number) => page.extend(number.to_le_bytes()),
            Cell::Text(text) => {
                page.extend(length(text.len())?.to_le_bytes());
                page.extend(text.as_bytes());
            }
            Cell::Bool(value) => bits.push(*value),
        }
    }
    if kind == Kind::Bool {
        page.extend(bits.chunks(8).map(|eight| eight.iter().rev().fold(0u8, |byte, bit| byte << 1 | u8::from(*bit))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_bits_are_those_of_the_format() {
        let cells = [vec![Cell::Bool(true); 200], vec![Cell::Null], vec![Cell::Bool(false), Cell::Bool(true)]].concat();
        // 400 = 0b11_0010000 is the head of 200 equal levels.
        assert_eq!(levels(&cells).unwrap(), [7, 0, 0, 0, 0x90, 3, 1, 2, 0, 4, 1]);
        let mut page = Vec::new();
        values(Kind::Bool, &cells[197..], &mut page).unwrap();
        assert_eq!(page, [0b10111]);
    }
}
