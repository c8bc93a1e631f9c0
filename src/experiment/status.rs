//! The states of trials.

/// The state of a trial, read off its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing is there yet.
    Missing,
    /// Some process holds its lock.
    Running,
    /// No lock and no result: it is resumed by the next run.
    Interrupted,
    /// Its metrics are written.
    Finished,
    /// It ended with an error, which is kept.
    Failed,
}

impl Status {
    /// Its name in tables and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Finished => "finished",
            Self::Failed => "failed",
        }
    }
}
