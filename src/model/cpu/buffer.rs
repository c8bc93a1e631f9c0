//! Numbers that a pass over rows writes and reads again.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line. Vectors that lie across two lines are loaded and stored at half the speed.
const LINE: usize = 64;
/// Numbers that may lie before the first line.
const BEFORE: usize = LINE / size_of::<f32>() - 1;

/// Numbers that begin at a cache line, in memory that only grows.
#[derive(Debug, Default)]
pub struct Buffer {
    values: Vec<f32>,
    len: usize,
}

impl Buffer {
    /// So many numbers: what is in them is for the caller to write.
    pub fn of_len(&mut self, len: usize) -> &mut [f32] {
        if self.values.len() < len + BEFORE {
            self.values.resize(len + BEFORE, 0.0);
        }
        self.len = len;
        self
    }

    fn first(&self) -> usize {
        self.values.as_ptr().align_offset(LINE).min(self.values.len() - self.len)
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.first()..][..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        let first = self.first();
        &mut self.values[first..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_from_a_cache_line_on() {
        let mut buffer = Buffer::default();
        assert!(buffer.is_empty());
        for len in [3, 100, 16, 5000, 1] {
            buffer.of_len(len).fill(len as f32);
            assert_eq!((buffer.len(), buffer.as_ptr().align_offset(LINE)), (len, 0));
            assert!(buffer.iter().all(|value| *value == len as f32));
        }
    }
}
