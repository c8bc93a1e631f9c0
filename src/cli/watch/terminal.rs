//! The terminal that the view is on: opened, waited for, and left as it was.

use std::fs::File;
use std::io::{self, IsTerminal, Stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Whether the view can be shown and keys can be read.
pub fn has_terminal() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

/// A terminal that becomes what it was when the value is dropped.
pub struct Screen {
    pub terminal: Terminal<CrosstermBackend<Stdout>>,
    /// Where keys come from, if not from standard input.
    keys: Option<File>,
}

/// What came of waiting for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// An event may be there.
    Key,
    /// Nothing came.
    Nothing,
    /// The terminal is gone, and with it all keys.
    Gone,
}

impl Screen {
    pub fn open() -> io::Result<Self> {
        enable_raw_mode()?;
        let opened = execute!(io::stdout(), EnterAlternateScreen)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        let keys = if io::stdin().is_terminal() { None } else { File::open("/dev/tty").ok() };
        opened.map(|terminal| Self { terminal, keys }).inspect_err(|_| drop(disable_raw_mode()))
    }

    /// Waits for an event. crossterm is asked only while the terminal is there: it reads one that hung up for ever.
    pub fn wait(&self, timeout: Duration) -> io::Result<Waited> {
        let stdin = io::stdin();
        let keys = self.keys.as_ref().map_or_else(|| stdin.as_fd(), AsFd::as_fd);
        if is_gone(keys, Duration::ZERO)? {
            return Ok(Waited::Gone);
        }
        // What crossterm has read already, and changes of the size, come by no descriptor.
        let until = Instant::now() + timeout;
        loop {
            if event::poll(Duration::ZERO)? {
                return Ok(Waited::Key);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Waited::Nothing);
            }
            if is_gone(keys, left)? {
                return Ok(Waited::Gone);
            }
        }
    }

    /// Whether the terminal has hung up.
    pub fn is_gone(&self) -> bool {
        self.wait(Duration::ZERO).is_ok_and(|waited| waited == Waited::Gone)
    }
}

/// Waits until there is something to read, or a signal; says whether the other side has hung up.
fn is_gone(keys: BorrowedFd<'_>, timeout: Duration) -> io::Result<bool> {
    let mut polled = [PollFd::from_borrowed_fd(keys, PollFlags::IN)];
    match poll(&mut polled, Timespec::try_from(timeout).ok().as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(polled[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)),
        Err(error) => Err(error.into()),
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody to tell where the terminal is gone.
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_whose_other_end_closed_is_gone() {
        let (reader, writer) = io::pipe().unwrap();
        let began = Instant::now();
        assert!(!is_gone(reader.as_fd(), Duration::from_millis(20)).unwrap());
        assert!(began.elapsed() >= Duration::from_millis(20));
        drop(writer);
        assert!(is_gone(reader.as_fd(), Duration::from_millis(900)).unwrap());
    }
}
