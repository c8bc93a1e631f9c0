//! Pages of Parquet columns: compression, levels and encodings.

use std::io::Read;

use polars_parquet_format::{CompressionCodec, Encoding, Type};

use super::parquet::DAMAGED;

/// A value of a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int32(i32),
    /// A whole number.
    Int64(i64),
    /// A number.
    Float(f32),
    /// A number.
    Double(f64),
    /// A text, as a rule.
    Bytes(&'a [u8]),
}

/// Which rows have a value.
pub enum Levels {
    /// They begin the page, after their length.
    InPage,
    /// They stand apart from it.
    Apart(Vec<u8>),
}

impl Levels {
    /// One level for each row: 1 where it has a value. The page goes on after them.
    pub fn read(&self, page: &mut &[u8], rows: usize) -> Option<Vec<u32>> {
        match self {
            Self::Apart(bytes) => hybrid(bytes, 1, rows),
            Self::InPage => hybrid(sized(page)?, 1, rows),
        }
    }
}

/// Bytes after their length, which are taken off the page.
fn sized<'a>(page: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = page.split_first_chunk()?;
    let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *page = rest;
    Some(bytes)
}

/// A page that was compressed to these bytes, of this size.
///
/// # Errors
/// When it is damaged or of another codec.
pub fn unpack(codec: CompressionCodec, bytes: &[u8], size: usize) -> Result<Vec<u8>, String> {
    let mut page = Vec::new();
    let most = size as u64 + 1;
    let read = match codec {
        CompressionCodec::UNCOMPRESSED => {
            page = bytes.to_vec();
            Ok(0)
        }
        CompressionCodec::SNAPPY => {
            // No copy of the format is longer than 64 bytes: a small page that claims to be a huge one is none.
            if snap::raw::decompress_len(bytes).ok() != Some(size) || size / 64 > bytes.len() {
                return Err(DAMAGED.to_owned());
            }
            page = snap::raw::Decoder::new().decompress_vec(bytes).map_err(|_| DAMAGED)?;
            Ok(0)
        }
        CompressionCodec::GZIP => flate2::read::MultiGzDecoder::new(bytes).take(most).read_to_end(&mut page),
        CompressionCodec::ZSTD => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(bytes).map_err(|_| DAMAGED)?;
            decoder.take(most).read_to_end(&mut page)
        }
        _ => return Err("its compression is not read; Snappy, gzip and Zstandard are".to_owned()),
    };
    match read {
        Ok(_) if page.len() == size => Ok(page),
        _ => Err(DAMAGED.to_owned()),
    }
}

/// Indices of a dictionary, where the page holds these.
///
/// # Errors
/// When it is damaged.
pub fn indices(encoding: Encoding, page: &[u8], count: usize) -> Result<Option<Vec<u32>>, String> {
    if ![Encoding::PLAIN_DICTIONARY, RLE_DICTIONARY].contains(&encoding) {
        return Ok(None);
    }
    match page.split_first() {
        None if count == 0 => Ok(Some(Vec::new())),
        Some((width, runs)) if *width <= 32 => Ok(Some(hybrid(runs, u32::from(*width), count).ok_or(DAMAGED)?)),
        _ => Err(DAMAGED.to_owned()),
    }
}

const RLE_DICTIONARY: Encoding = Encoding(8);

/// The values of a page that holds them itself.
///
/// # Errors
/// When it is damaged or in another encoding.
pub fn values(encoding: Encoding, physical: Type, mut page: &[u8], count: usize) -> Result<Vec<Value<'_>>, String> {
    let values = match (encoding, physical) {
        (Encoding::PLAIN, _) => plain(physical, page, count),
        (Encoding::RLE, Type::BOOLEAN) => sized(&mut page)
            .and_then(|runs| hybrid(runs, 1, count))
            .map(|bits| bits.into_iter().map(|bit| Value::Bool(bit == 1)).collect()),
        (Encoding::DELTA_BINARY_PACKED, Type::INT32 | Type::INT64) => deltas(page, count).map(|numbers| {
            let value = |number: i64| match physical {
                Type::INT32 => Value::Int32(number as i32),
                _ => Value::Int64(number),
            };
            numbers.into_iter().map(value).collect()
        }),
        _ => return Err(format!("its encoding ({}) is not read", encoding.0)),
    };
    values.ok_or_else(|| DAMAGED.to_owned())
}

/// So many plain values.
pub fn plain(physical: Type, page: &[u8], count: usize) -> Option<Vec<Value<'_>>> {
    fn each<'a, const N: usize>(page: &'a [u8], count: usize, of: fn([u8; N]) -> Value<'a>) -> Option<Vec<Value<'a>>> {
        let (chunks, _) = page.get(..count.checked_mul(N)?)?.as_chunks::<N>();
        Some(chunks.iter().map(|bytes| of(*bytes)).collect())
    }
    match physical {
        Type::INT32 => each(page, count, |bytes| Value::Int32(i32::from_le_bytes(bytes))),
        Type::INT64 => each(page, count, |bytes| Value::Int64(i64::from_le_bytes(bytes))),
        Type::FLOAT => each(page, count, |bytes| Value::Float(f32::from_le_bytes(bytes))),
        Type::DOUBLE => each(page, count, |bytes| Value::Double(f64::from_le_bytes(bytes))),
        Type::BOOLEAN => {
            let bits = page.get(..count.div_ceil(8))?;
            Some((0..count).map(|place| Value::Bool(bits[place / 8] >> (place % 8) & 1 == 1)).collect())
        }
        _ => {
            let mut left = page;
            (0..count).map(|_| sized(&mut left).map(Value::Bytes)).collect()
        }
    }
}

/// So many numbers in runs of equal ones and of packed bits.
fn hybrid(mut bytes: &[u8], width: u32, count: usize) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let head = varint(&mut bytes)?;
        let left = count - numbers.len();
        if head & 1 == 1 {
            // Eights of numbers; of the last ones there may be too many, and of their bytes too few.
            let bits = usize::try_from(head >> 1).ok()?.checked_mul(8)?.checked_mul(width as usize)?;
            let (packed, rest) = bytes.split_at(bits.div_ceil(8).min(bytes.len()));
            let there = if width == 0 { left } else { packed.len() * 8 / width as usize };
            if there == 0 || head >> 1 == 0 {
                return None;
            }
            let most = (head >> 1).saturating_mul(8).min(left.min(there) as u64) as usize;
            numbers.extend((0..most).map(|place| bits_at(packed, place * width as usize, width) as u32));
            bytes = rest;
        } else {
            let (value, rest) = bytes.split_at_checked(width.div_ceil(8) as usize)?;
            bytes = rest;
            let number = value.iter().rev().fold(0u32, |number, byte| number << 8 | u32::from(*byte));
            let run = (head >> 1).min(left as u64) as usize;
            if run == 0 {
                return None;
            }
            numbers.resize(numbers.len() + run, number);
        }
    }
    Some(numbers)
}

/// So many whole numbers, each as its difference from the one before.
fn deltas(mut bytes: &[u8], count: usize) -> Option<Vec<i64>> {
    let [block, parts, total] = [varint(&mut bytes)?, varint(&mut bytes)?, varint(&mut bytes)?];
    let mut number = zigzag(varint(&mut bytes)?);
    if total != count as u64 || parts == 0 || block > 1 << 20 || block % parts != 0 || (block / parts) % 32 != 0 {
        return if count == 0 { Some(Vec::new()) } else { None };
    }
    let part = (block / parts) as usize;
    let mut numbers = vec![number];
    while numbers.len() < count {
        let least = zigzag(varint(&mut bytes)?);
        let (widths, rest) = bytes.split_at_checked(parts as usize)?;
        bytes = rest;
        for width in widths.iter().map(|width| u32::from(*width)) {
            if numbers.len() >= count {
                break;
            }
            let (packed, rest) = bytes.split_at_checked(part * width as usize / 8).filter(|_| width <= 64)?;
            bytes = rest;
            for place in 0..part.min(count - numbers.len()) {
                let delta = bits_at(packed, place * width as usize, width) as i64;
                number = number.wrapping_add(least).wrapping_add(delta);
                numbers.push(number);
            }
        }
    }
    Some(numbers)
}

/// The number in these bits, lowest first.
fn bits_at(bytes: &[u8], start: usize, width: u32) -> u64 {
    let mut number = 0u64;
    for bit in 0..width as usize {
        let place = start + bit;
        let set = bytes.get(place / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1);
        number |= u64::from(set) << bit;
    }
    number
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_packed_bits_are_those_of_the_formats_example() {
        // 0 to 7 in three bits each, as the format's page shows; then nine times the 5.
        let bytes = [0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010, 18, 5];
        assert_eq!(hybrid(&bytes, 3, 8).unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(hybrid(&bytes, 3, 12).unwrap()[8..], [5; 4]);
        // Too short, without an end, without a length.
        for bytes in [&bytes[..1], &[], &[0, 5], &[1], &[0xff; 11]] {
            assert_eq!(hybrid(bytes, 3, 20), None, "{bytes:?}");
        }
        assert_eq!(hybrid(&[8], 0, 4), Some(vec![0; 4]));
    }

    #[test]
    fn differences_are_those_of_the_formats_examples() {
        // 1 to 5: one difference of 1 throughout, packed in no bits.
        let bytes = [0x80, 1, 4, 5, 2, 2, 0, 0, 0, 0];
        assert_eq!(deltas(&bytes, 5).unwrap(), [1, 2, 3, 4, 5]);
        // 7, 5, 3, 1, 2, 3, 4, 5: a least difference of -2, and 0 or 3 above it in two bits.
        let bytes = [&[0x80, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0b1100_0000, 0b1111_1111][..], &[0; 6]].concat();
        assert_eq!(deltas(&bytes, 8).unwrap(), [7, 5, 3, 1, 2, 3, 4, 5]);
        assert_eq!(deltas(&bytes[..7], 8), None);
        assert_eq!(deltas(&[0x80, 1, 0, 5, 2], 5), None);
    }

    #[test]
    fn plain_values_end_with_the_page() {
        assert_eq!(plain(Type::BOOLEAN, &[0b101], 3).unwrap(), [true, false, true].map(Value::Bool));
        assert_eq!(plain(Type::BYTE_ARRAY, &[1, 0, 0, 0, b'x'], 1).unwrap(), [Value::Bytes(b"x")]);
        assert_eq!(plain(Type::BYTE_ARRAY, &[2, 0, 0, 0, b'x'], 1), None);
        assert_eq!(plain(Type::INT64, &[0; 15], 2), None);
        assert_eq!(plain(Type::DOUBLE, &1.5f64.to_le_bytes(), 1).unwrap(), [Value::Double(1.5)]);
        assert!(values(Encoding::DELTA_BYTE_ARRAY, Type::BYTE_ARRAY, &[], 0).is_err());
    }
}
