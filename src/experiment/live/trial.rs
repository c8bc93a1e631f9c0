//! One trial as its folder shows it now.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::Deserialize;

use super::pace::Pace;
use super::points::{Point, Points};
use super::tail::{Growth, Tail};
use crate::experiment::folder::{RunFolder, Status};
use crate::files;
use crate::metrics::Measure;
use crate::training::Checkpoint;

/// Where locks can't be asked for, a trial that wrote something so lately is taken for a running one.
const FRESH: Duration = Duration::from_secs(120);

/// A trial of a live view.
#[derive(Debug)]
pub struct LiveTrial {
    /// The experiment's name.
    pub experiment: String,
    /// The trial's name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Its state.
    pub status: Status,
    /// Steps that it is to do, where its config says so.
    pub steps: Option<u64>,
    /// Why it failed, where it did: the first line.
    pub error: Option<String>,
    points: Points,
    pace: Pace,
    history: Tail,
    log: Tail,
    checkpoint: Option<SystemTime>,
    /// When the folder last changed, as finished and failed ones do no more.
    changed: Option<SystemTime>,
}

/// The one key of a config that is needed here: a thousand of them are read at once.
#[derive(Debug, Default, Deserialize)]
struct Excerpt {
    #[serde(default)]
    training: Steps,
}

#[derive(Debug, Default, Deserialize)]
struct Steps {
    steps: Option<u64>,
}

impl LiveTrial {
    /// The trial in a folder, not looked at yet.
    pub fn new(experiment: String, name: String, folder: PathBuf) -> Self {
        Self {
            experiment,
            name,
            folder,
            status: Status::Missing,
            steps: None,
            error: None,
            points: Points::default(),
            pace: Pace::default(),
            history: Tail::default(),
            log: Tail::default(),
            checkpoint: None,
            changed: None,
        }
    }

    /// Looks at the folder again; says whether anything is new. `locks` says whether locks are known to work here, and
    /// is set where one is seen.
    ///
    /// # Errors
    /// When the folder can't be read; it may just have been removed.
    pub fn look(&mut self, locks: &mut bool) -> io::Result<bool> {
        let changed = fs::metadata(&self.folder)?.modified()?;
        let over = matches!(self.status, Status::Finished | Status::Failed);
        if over && self.changed == Some(changed) {
            return Ok(false);
        }
        self.changed = Some(changed);
        if self.steps.is_none() {
            let text = files::read_text(&self.folder.join("config.toml")).unwrap_or_default();
            self.steps = toml::from_str::<Excerpt>(&text).unwrap_or_default().training.steps;
        }
        // What can't be read, such as a pipe in its place, says nothing; the rest of the trial is still shown.
        let log = self.log.read(&self.folder.join("log.txt")).unwrap_or(Growth::Same);
        self.pace.take(&log);
        let history = self.history.read(&self.folder.join("history.csv")).unwrap_or(Growth::Same);
        let mut new = self.points.take(&history);
        new |= self.look_at_checkpoint();
        let status = self.look_at_status(locks);
        if status == Status::Failed {
            let text = files::read_text(&self.folder.join("error.txt")).unwrap_or_default();
            self.error = Some(text.lines().next().unwrap_or_default().to_owned());
        } else {
            self.error = None;
        }
        new |= status != self.status || log != Growth::Same;
        self.status = status;
        Ok(new)
    }

    fn look_at_checkpoint(&mut self) -> bool {
        let path = self.folder.join("checkpoint").join("checkpoint.safetensors");
        let modified = fs::metadata(&path).and_then(|found| found.modified()).ok();
        if modified == self.checkpoint {
            return false;
        }
        self.checkpoint = modified;
        if let Some(step) = Checkpoint::step_of(&path)
            && let Some(at) = modified.and_then(|modified| Timestamp::try_from(modified).ok())
        {
            self.pace.reached(at, step);
        }
        true
    }

    /// The state; where locks tell nothing, by what was written lately.
    fn look_at_status(&self, locks: &mut bool) -> Status {
        match RunFolder::status(&self.folder) {
            Ok(Status::Running) => {
                *locks = true;
                Status::Running
            }
            Ok(Status::Interrupted) if *locks || self.pace.ended() || !self.is_fresh() => Status::Interrupted,
            Ok(Status::Interrupted) | Err(_) if self.is_fresh() => Status::Running,
            Ok(status) => status,
            Err(_) => Status::Interrupted,
        }
    }

    fn is_fresh(&self) -> bool {
        let age = |modified: SystemTime| SystemTime::now().duration_since(modified).unwrap_or_default();
        self.modified().is_some_and(|modified| age(modified) < FRESH)
    }

    /// When the trial last wrote a row, a line of its log or a checkpoint; else when its folder last changed.
    pub fn modified(&self) -> Option<SystemTime> {
        [self.history.modified(), self.log.modified(), self.checkpoint].into_iter().flatten().max().or(self.changed)
    }

    /// The evaluations so far.
    pub fn points(&self) -> &[Point] {
        &self.points.all
    }

    /// Where each phase began.
    pub fn phases(&self) -> Vec<(u64, crate::training::Phase)> {
        self.points.phases()
    }

    /// Steps that are known to be done.
    pub fn step(&self) -> u64 {
        let logged = self.points.all.last().map_or(0, |point| point.step);
        logged.max(self.pace.step().unwrap_or(0))
    }

    /// The time left, for a running trial.
    pub fn left(&self, now: Timestamp) -> Option<Duration> {
        if self.status != Status::Running {
            return None;
        }
        self.pace.left(self.steps?, now)
    }

    /// The last value of a measure that the view keeps; NaN where there is none.
    pub fn last(&self, measure: Measure) -> f64 {
        self.points.all.last().map_or(f64::NAN, |point| point.value(measure))
    }

    /// The log with the error, where there is one: its last lines.
    pub fn log_text(&self) -> String {
        let mut text = String::new();
        for name in ["log.txt", "error.txt"] {
            text += &last_lines(&self.folder.join(name));
        }
        if text.is_empty() { "nothing is logged yet".to_owned() } else { text }
    }
}

/// The end of a text file; empty where it can't be read.
fn last_lines(path: &Path) -> String {
    const MOST: u64 = 1 << 18;
    let read = || {
        let mut file = files::open_regular(path).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MOST))).ok()?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}
