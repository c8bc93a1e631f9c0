//! What is concluded from results: means over seeds, rankings, best settings, marks and warnings.
//!
//! Nothing here measures a model or draws a chart: it reads what trials logged and says what follows from it.

mod angles;
mod grid;
mod marks;
mod ranking;
mod score;
mod settings;
mod trials;
mod warnings;

pub use angles::{ColumnFits, Fit, TrunkColumn, TrunkUnits, column_fits, lattice, trunk_units};
pub use grid::{best_cell, edges};
pub use marks::{Deviation, deviation};
pub use ranking::{best, ranked};
pub use score::{Closest, ColumnScore, Detection, Distances, Score, Similarities, UNSEEN};
pub use settings::{BETA, LATENT, Mean, Setting, UNCHANGED, groups, named, settings, short, values, varying};
pub use trials::{Duplicate, complete, distinct, mixed_provenance};
pub use warnings::{Figures, Warning, WarningRecord, warnings};
