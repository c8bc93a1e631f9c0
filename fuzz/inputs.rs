//! Inputs: a file of the corpus, mutated.

use std::fs;
use std::path::Path;

use anyhow::Context;
use cvae::random::{Purpose, stream};
use mutatis::Session;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::targets::Target;

/// No input grows beyond this many bytes by mutation.
const LONGEST: usize = 1 << 16;

/// Words that parsers look out for, and numbers at the edges of their types.
const WORDS: &[&str] = &[
    "[MON]",
    "[SUN]",
    "[DEC]",
    "[True]",
    "[False]",
    "[180]",
    "[220]",
    "[",
    "]",
    " ",
    "\t",
    "\r\n",
    "\n",
    "\u{feff}",
    "\u{85}",
    "ü",
    "\u{0}",
    "29-2-2000",
    "31-12-2200",
    "-",
    "--",
    "0",
    "-1",
    "1e999",
    "nan",
    "inf",
    "-inf",
    "0x1F",
    "255",
    "32768",
    "65536",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e-320",
    "=",
    ".",
    ",",
    "\"",
    "'''",
    "\"\"\"",
    "#",
    "{}",
    "[]",
    "[[sweep.chain]]",
    "[sweep]",
    "sweep",
    "base = ",
    "seed",
    "seeds = [1, 2]",
    "product = { ",
    "zip = { ",
    "set = { ",
    "model.latent_dim",
    "training.steps",
    "beta.schedule",
    "\"phased\"",
    "__metadata__",
    "sha256",
    "\"shape\":[",
    "\"data_offsets\":[",
    "\"dtype\":\"F32\"",
    "\"dtype\":\"BOOL\"",
    "\"F64\"",
    "\"BF16\"",
    "[0]",
    "1979-05-27T07:32:00Z",
];

/// The unmutated inputs of a target.
pub struct Corpus {
    pub files: Vec<Vec<u8>>,
}

impl Corpus {
    /// Reads a target's folder of the corpus; weights and checkpoints are made by the program itself.
    pub fn new(target: Target) -> anyhow::Result<Self> {
        if let Some(files) = target.made()? {
            return Ok(Self { files });
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target.name());
        let mut paths = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("no corpus in {}", folder.display()))? {
            paths.push(entry?.path());
        }
        paths.sort();
        let files: Vec<Vec<u8>> = paths.iter().map(fs::read).collect::<Result<_, _>>()?;
        anyhow::ensure!(!files.is_empty(), "{} is empty", folder.display());
        Ok(Self { files })
    }

    /// Input `number` of a target; the first ones are the corpus as it is.
    pub fn input(&self, seed: u64, target: Target, number: u64) -> Vec<u8> {
        if let Some(file) = self.files.get(number as usize) {
            return file.clone();
        }
        // The noise streams of runs are keyed in the same way; what they are for does not matter here.
        let mut random = stream(seed, Purpose::Noise, ((target as u64) << 40) | number);
        let mut bytes = self.pick(&mut random).clone();
        let mut session = Session::new().seed(random.random());
        // Mostly few changes, which get deeper into a parser, at times many.
        let changes = 1 + random.random_range(0..4) * random.random_range(0..4);
        for _ in 0..changes {
            match random.random_range(0..17) {
                0..6 => flip(&mut bytes, &mut random),
                6..8 => splice(&mut bytes, WORDS[random.random_range(0..WORDS.len())].as_bytes(), &mut random),
                8..10 => {
                    let other = part(self.pick(&mut random), &mut random);
                    splice(&mut bytes, other, &mut random);
                }
                10..12 => {
                    let copy = part(&bytes, &mut random).to_vec();
                    splice(&mut bytes, &copy, &mut random);
                }
                // Long lines, long keys, many rows: the same part again and again.
                12 => {
                    let copy = part(&bytes, &mut random).repeat(random.random_range(2..200));
                    splice(&mut bytes, &copy, &mut random);
                }
                13..15 => bytes.truncate(random.random_range(0..=bytes.len())),
                // It refuses to change what can't be changed in its way; another change will do.
                _ => drop(session.mutate(&mut bytes)),
            }
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn pick(&self, random: &mut ChaCha8Rng) -> &Vec<u8> {
        &self.files[random.random_range(0..self.files.len())]
    }
}

fn flip(bytes: &mut [u8], random: &mut ChaCha8Rng) {
    if !bytes.is_empty() {
        let place = random.random_range(0..bytes.len());
        // A flipped bit, a digit, or any byte.
        bytes[place] = match random.random_range(0..3) {
            0 => bytes[place] ^ (1 << random.random_range(0..8)),
            1 => b'0' + random.random_range(0..10),
            _ => random.random(),
        };
    }
}

/// A stretch of up to 64 bytes.
fn part<'a>(bytes: &'a [u8], random: &mut ChaCha8Rng) -> &'a [u8] {
    let from = random.random_range(0..=bytes.len());
    &bytes[from..(from + random.random_range(0..64)).min(bytes.len())]
}

/// Puts a word anywhere, over what stands there or between it.
fn splice(bytes: &mut Vec<u8>, word: &[u8], random: &mut ChaCha8Rng) {
    let from = random.random_range(0..=bytes.len());
    let over = if random.random() { word.len() } else { 0 };
    let to = (from + over).min(bytes.len());
    bytes.splice(from..to, word.iter().copied());
}
