//! `cvae predict`: conditions in, conditions with what the model generates out.

mod ahead;
mod dates;
mod lines;
mod options;
mod table;

pub use options::{DecodeKind, Predict};

use super::exit::Exit;
use crate::model::Sampler;
use crate::task::Notation;

impl Predict {
    /// Checks the input, then predicts it block by block.
    ///
    /// # Errors
    /// When the input, the options or the model are not what they should be.
    pub fn run(self) -> anyhow::Result<Exit> {
        let decode = self.decode.at(self.temperature)?;
        let (model, config) = super::load_model(self.model.as_deref())?;
        if model.schema.notation == Notation::Named {
            return table::run(&self, &model, &config);
        }
        dates::run(&self, &Sampler::new(&model, decode, self.threads.map(usize::from)))
    }
}
