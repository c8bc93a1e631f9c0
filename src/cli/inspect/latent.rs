//! stub
use super::{Inspect, Subject};
use crate::cli::exit::Exit;
use crate::dates::Condition;
/// stub
pub fn run(_options: &Inspect, _subject: &Subject, _condition: Option<Condition>) -> anyhow::Result<Exit> {
    Ok(Exit::Done)
}
