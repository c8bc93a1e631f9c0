//! The charts of `--latent`.

use std::path::{Path, PathBuf};

use super::{Subject, codes};
use crate::dates::{Condition, Date};
use crate::figures::{Bars, Colours, Scatter, count, write_both};
use crate::metrics::{LatentUse, Projection, posterior_means, project};

/// Conditions that are told apart in the picture by condition.
const CONDITIONS: usize = 7;
/// One date in so many is drawn in the others, some 5,000 in all: more would hide each other.
const STRIDE: usize = 29;

/// Draws all of them.
///
/// # Errors
/// When a chart can't be drawn or written.
pub fn draw(
    subject: &Subject,
    dates: &[Date],
    usage: &LatentUse,
    condition: Condition,
    folder: &Path,
) -> anyhow::Result<Vec<PathBuf>> {
    let means = posterior_means(&subject.model, &crate::dates::rows(dates));
    let projection = project(&means);
    let active = usage.active_units();
    let bars = Bars {
        title: format!("KL of each latent dimension over {} dates, {active} active", count(dates.len())),
        values: usage.kl.clone(),
        active: usage.active(),
    };
    let mut written = Vec::new();
    written.extend(write_both(&bars, folder, "latent_kl")?);
    let places: Vec<usize> = (0..dates.len()).step_by(STRIDE).collect();
    let shown = || places.iter().map(|place| &dates[*place]);
    let mut by = |file: &str, name: &str, colours: Colours| {
        let title = format!("Posterior means by {name}, one date in {STRIDE}");
        written.extend(write_both(&scatter(title, &projection, &places, colours), folder, file)?);
        anyhow::Ok(())
    };
    let (digit, day) = ("last digit of the year", "day of the month");
    let of_point = shown().map(|date| date.year() % 10).collect();
    let names = (0..10).map(|digit| digit.to_string()).collect();
    by("latent_digit", digit, Colours::Groups { title: digit.to_owned(), of_point, names })?;
    let values = shown().map(|date| date.day() as f64).collect();
    by("latent_day", day, Colours::Scale { name: day.to_owned(), values, range: (1.0, 31.0) })?;
    let (places, colours) = by_condition(subject, dates, condition);
    let title = format!("Posterior means of {CONDITIONS} conditions");
    written.extend(write_both(&scatter(title, &projection, &places, colours), folder, "latent_condition")?);
    if let Some(plane) = codes::plane(subject, condition) {
        written.extend(write_both(&plane, folder, "latent_plane")?);
    }
    Ok(written)
}

fn scatter(title: String, projection: &Projection, places: &[usize], colours: Colours) -> Scatter {
    let points = places.iter().map(|place| projection.points[*place]).collect();
    Scatter { title, shares: projection.shares, points, colours }
}

/// The dates of the condition asked for and of others spread evenly over all.
fn by_condition(subject: &Subject, dates: &[Date], condition: Condition) -> (Vec<usize>, Colours) {
    let all = subject.valid.conditions();
    let mut chosen = vec![condition];
    // A step that shares no factor with the sizes of the fields, so that all of them vary.
    let others = all.iter().skip(17).step_by(1009).filter(|other| **other != condition);
    chosen.extend(others.take(CONDITIONS - 1));
    let group = |date: &Date| chosen.iter().position(|chosen| *chosen == Condition::of(*date));
    let members = dates.iter().enumerate().filter_map(|(place, date)| Some((place, group(date)?)));
    let (places, of_point) = members.unzip();
    let names = chosen.iter().map(ToString::to_string).collect();
    (places, Colours::Groups { title: "condition".to_owned(), of_point, names })
}
