//! Tensors on disk: safetensors files that carry a checksum of themselves.
//!
//! The metadata of the header hold the SHA-256 of the whole file, taken with the digest's own 64 digits
//! as zeros. Any reader of the format can read such a file, and a few lines can check it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::checksums::{self, ChecksumError, ChecksumPolicy, sha256};
use crate::files::{self, FileError};
use crate::printable::ShownPath;

/// Why weights could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not a weight file.
    #[error("{path} is not a readable safetensors file ({reason}); copy it again or train again", path = .path.shown())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// The file is damaged.
    #[error(
        "{path} is damaged: it does not match the checksum in its header; copy it again or train again",
        path = .path.shown()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Its checksum beside it.
    #[error(transparent)]
    Checksum(#[from] ChecksumError),
    /// The file holds another model.
    #[error(
        "{path} does not fit the config beside it: {mismatch}; use the config that the weights were trained with",
        path = .path.shown()
    )]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The tensor at fault, with both shapes.
        mismatch: String,
    },
}

/// Numbers of a tensor, by rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// Bytes.
    U8(Vec<u8>),
}

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its numbers.
    pub values: Values,
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

impl Tensor {
    /// A vector of bytes.
    pub fn of_bytes(bytes: Vec<u8>) -> Self {
        Self { shape: vec![bytes.len()], values: Values::U8(bytes) }
    }

    /// A vector of floats.
    pub fn of_floats(values: Vec<f32>) -> Self {
        Self { shape: vec![values.len()], values: Values::F32(values) }
    }

    fn bytes(&self) -> (Dtype, Cow<'_, [u8]>) {
        match &self.values {
            Values::U8(bytes) => (Dtype::U8, bytes.into()),
            Values::F32(values) => {
                (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>().into())
            }
        }
    }

    fn read(view: &TensorView<'_>) -> Result<Self, String> {
        let values = match view.dtype() {
            Dtype::U8 => Values::U8(view.data().to_vec()),
            Dtype::F32 => {
                Values::F32(view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
            }
            other => return Err(format!("its numbers are of type {other:?}, not 32-bit floats (F32)")),
        };
        Ok(Self { shape: view.shape().to_vec(), values })
    }
}

/// How a header with a checksum begins, after the 8 bytes of its length.
const START: &str = r#"{"__metadata__":{"sha256":""#;
/// Where the digest stands.
const DIGEST: std::ops::Range<usize> = 8 + START.len()..8 + START.len() + 64;
/// What stands there while the digest is taken.
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Writes named tensors with their checksum, beside the place and then renamed.
///
/// # Errors
/// When the file can't be written.
pub fn save_tensors(tensors: &Tensors, path: &Path) -> Result<(), WeightsError> {
    save_described(tensors, None, path)
}

/// The same with a text in the header's metadata, under [`DESCRIPTION`].
///
/// # Errors
/// When the file can't be written.
pub(super) fn save_described(tensors: &Tensors, description: Option<&str>, path: &Path) -> Result<(), WeightsError> {
    files::replace(path, |partial| fs::write(partial, to_bytes(tensors, description).map_err(io::Error::other)?))?;
    Ok(())
}

/// The key of a description in the metadata.
const DESCRIPTION: &str = "schema";

/// The description in the metadata of a file's bytes, where there is one.
pub(super) fn description(bytes: &[u8]) -> Option<String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
    metadata.metadata().as_ref()?.get(DESCRIPTION).cloned()
}

fn to_bytes(tensors: &Tensors, description: Option<&str>) -> Result<Vec<u8>, SafeTensorError> {
    let parts: Vec<_> = tensors.iter().map(|(name, tensor)| (name, &tensor.shape, tensor.bytes())).collect();
    let views = parts
        .iter()
        .map(|(name, shape, (kind, bytes))| Ok((name.as_str(), TensorView::new(*kind, shape.to_vec(), bytes)?)));
    let views = views.collect::<Result<Vec<_>, SafeTensorError>>()?;
    let mut bytes = serialize(views, &Some(HashMap::from([("sha256".to_owned(), ZEROS.to_owned())])))?;
    if let Some(description) = description {
        describe(&mut bytes, description);
    }
    let digest = sha256(&bytes);
    bytes[DIGEST].copy_from_slice(digest.as_bytes());
    Ok(bytes)
}

/// Puts a description into a header, after the digest: the writer of the format has keys in any order, and the digest
/// comes first.
fn describe(bytes: &mut Vec<u8>, description: &str) {
    let entry = format!(",\"{DESCRIPTION}\":{}", serde_json::Value::from(description));
    let place = DIGEST.end + 1;
    let length =
        u64::from_le_bytes(*bytes.first_chunk().expect("a header begins with its length")) + entry.len() as u64;
    bytes.splice(place..place, entry.bytes());
    // Tensors begin at a multiple of eight bytes, as the format has it; blanks fill a header up.
    let padded = length.next_multiple_of(8);
    let end = 8 + length as usize;
    bytes.splice(end..end, std::iter::repeat_n(b' ', (padded - length) as usize));
    bytes[..8].copy_from_slice(&padded.to_le_bytes());
}

/// Reads named tensors and checks them, by the checksum in their header and by the one beside the file: one of them
/// there must be, and that beside the file where its folder has any.
///
/// # Errors
/// When the file can't be read, is no safetensors file, does not match a checksum or lacks one.
pub fn load_tensors(path: &Path) -> Result<Tensors, WeightsError> {
    read_tensors(&read_checked(path)?, path)
}

/// Named tensors of a file's bytes; `path` is for messages.
///
/// # Errors
/// When the bytes are not a safetensors file of floats and bytes.
pub(super) fn read_tensors(bytes: &[u8], path: &Path) -> Result<Tensors, WeightsError> {
    let format = |reason: String| WeightsError::Format { path: path.to_owned(), reason };
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| format(in_words(&error)))?;
    let read = |(name, view): (String, TensorView<'_>)| match Tensor::read(&view) {
        Ok(tensor) => Ok((name, tensor)),
        Err(reason) => Err(format(format!("{name}: {reason}"))),
    };
    tensors.tensors().into_iter().map(read).collect()
}

/// The bytes of a file of tensors, which can be read as such and match their checksums.
pub(super) fn read_checked(path: &Path) -> Result<Vec<u8>, WeightsError> {
    let bytes = checksums::read(path, ChecksumPolicy::WithSums)?;
    let format = |reason: String| WeightsError::Format { path: path.to_owned(), reason };
    if let Some(digest) = own_digest(&bytes)
        && digest != digest_of(&bytes)
    {
        return Err(WeightsError::Damaged { path: path.to_owned() });
    }
    check_sizes(&bytes).map_err(format)?;
    SafeTensors::deserialize(&bytes).map_err(|error| format(in_words(&error)))?;
    if own_digest(&bytes).is_none() && !checksums::check(path, &bytes, ChecksumPolicy::WithSums)? {
        return Err(ChecksumError::unlisted(path).into());
    }
    Ok(bytes)
}

/// What the reader of the format says, in words.
fn in_words(error: &SafeTensorError) -> String {
    match error {
        SafeTensorError::InvalidHeaderDeserialization => "its header lists no tensors of a known type".to_owned(),
        SafeTensorError::TensorInvalidInfo | SafeTensorError::InvalidTensorView(..) => {
            "the type, shape and size of a tensor do not fit each other".to_owned()
        }
        SafeTensorError::InvalidOffset(name) => format!("{name} does not begin where the tensor before it ends"),
        SafeTensorError::MetadataIncompleteBuffer => "its tensors do not end where the file ends".to_owned(),
        SafeTensorError::HeaderTooSmall | SafeTensorError::InvalidHeaderLength => "its header is cut short".to_owned(),
        SafeTensorError::InvalidHeader | SafeTensorError::InvalidHeaderStart => "it has no header".to_owned(),
        SafeTensorError::HeaderTooLarge => "its header is larger than 100 MB".to_owned(),
        SafeTensorError::ValidationOverflow => "a tensor is larger than the file".to_owned(),
        other => other.to_string(),
    }
}

/// Checks that no tensor claims to be larger than the file: the reader adds up sizes near the largest integer.
fn check_sizes(bytes: &[u8]) -> Result<(), String> {
    #[derive(serde::Deserialize)]
    struct Claim {
        #[serde(default)]
        shape: Vec<u64>,
        #[serde(default)]
        data_offsets: [u64; 2],
    }
    let length = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    let header = usize::try_from(length).ok().and_then(|length| bytes.get(8..length.checked_add(8)?));
    let header = header.ok_or("its header is cut short")?;
    let claims: HashMap<String, Claim> = serde_json::from_slice(header).map_err(|error| error.to_string())?;
    let sizes = |claim: &Claim| claim.shape.iter().chain(&claim.data_offsets).copied().max().unwrap_or(0);
    match claims.iter().find(|(_, claim)| sizes(claim) > bytes.len() as u64) {
        Some((name, _)) => Err(format!("{name} is larger than the file")),
        None => Ok(()),
    }
}

/// The digest that a header begins with, where it does.
fn own_digest(bytes: &[u8]) -> Option<&str> {
    let begins = bytes.get(8..DIGEST.start)? == START.as_bytes();
    std::str::from_utf8(bytes.get(DIGEST)?).ok().filter(|_| begins)
}

/// The digest that the header of such a file should hold.
fn digest_of(bytes: &[u8]) -> String {
    let mut bytes = bytes.to_vec();
    bytes[DIGEST].copy_from_slice(ZEROS.as_bytes());
    sha256(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("model.safetensors");
        let tensors = [("a", [1f32, 2.0]), ("b", [3.0, 4.0])];
        let tensors = tensors.map(|(name, values)| (name.to_owned(), Tensor::of_floats(values.to_vec())));
        save_tensors(&tensors.into(), &path).unwrap();
        path
    }

    #[test]
    fn any_flipped_bit_cut_or_swap_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = saved(folder.path());
        let whole = fs::read(&path).unwrap();
        assert_eq!(load_tensors(&path).unwrap().len(), 2);
        let refused = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let error = load_tensors(&path).unwrap_err().to_string();
            assert!(error.contains("model.safetensors"), "{error}");
        };
        for bit in 0..8 * whole.len() {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            refused(&bytes);
        }
        (0..whole.len()).for_each(|length| refused(&whole[..length]));
        let mut bytes = whole.clone();
        let end = bytes.len();
        bytes[end - 16..].rotate_left(8);
        refused(&bytes);
        refused(&[&whole[..], b"x"].concat());
    }

    #[test]
    fn sizes_beyond_the_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let most = u64::MAX;
        for (shape, end) in [(format!("[{most}]"), most), ("[8]".to_owned(), 9), (format!("[0,{}]", most / 2), 0)] {
            let header = format!(r#"{{"a":{{"dtype":"U8","shape":{shape},"data_offsets":[0,{end}]}}}}"#);
            fs::write(&path, [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()).unwrap();
            let error = load_tensors(&path).unwrap_err().to_string();
            assert!(error.contains("safetensors"), "{error}");
        }
    }

    #[test]
    fn a_file_of_another_program_needs_a_checksum_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let bytes = 1f32.to_le_bytes();
        let view = TensorView::new(Dtype::F32, vec![1], &bytes).unwrap();
        fs::write(&path, serialize([("a", view)], &None).unwrap()).unwrap();
        let error = load_tensors(&path).unwrap_err().to_string();
        assert!(error.contains("sha256sum model.safetensors >> SHA256SUMS"), "{error}");
        checksums::write(folder.path(), &["model.safetensors"], ("x", b"")).unwrap();
        assert_eq!(load_tensors(&path).unwrap().len(), 1);
    }
}
