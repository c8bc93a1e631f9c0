//! The text that a config is made of: a file, the files that it builds on, and replaced values.

use std::path::{Path, PathBuf};

use super::check::Invalid;
use super::config::{Config, ConfigError};
use super::config_file::ConfigFile;
use super::hints;
use super::locate::{locate, position};
use super::overrides::Override;
use crate::checksums::{self, ChecksumPolicy};
use crate::files;
use crate::printable::{ShownPath, one_line};

/// A config file with those it builds on (`base = "other.toml"`, relative to it), read and merged.
#[derive(Clone, Debug)]
pub struct Source {
    /// From the one that builds on no other to the one that was asked for.
    layers: Vec<Layer>,
    merged: toml::Table,
}

#[derive(Clone, Debug)]
struct Layer {
    path: PathBuf,
    text: String,
}

/// Reads the resolved config of a trial or a release. Where the folder has checksums, it must have one.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn resolved(folder: &Path) -> Result<Config, ConfigError> {
    Source::load_checked(&folder.join("config.toml"), ChecksumPolicy::WithSums)?.resolve(std::iter::empty())
}

/// Where a replaced value was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By `--set`.
    CommandLine,
    /// In the file's own `[sweep]`, at this byte offset.
    Sweep(usize),
}

/// A chain of bases longer than this goes round in a circle.
const MOST_LAYERS: usize = 16;
/// No config comes near this many bytes, and reading one takes twenty times its size.
const LARGEST: u64 = 4 << 20;

impl Source {
    /// Reads a config and everything that it builds on.
    ///
    /// # Errors
    /// When a file can't be read or is not a config.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        // It may lie anywhere; a resolved config in a finished trial's folder has its checksum there.
        let mut source = Self::load_checked(path, ChecksumPolicy::Listed)?;
        // What is trained now was not made by what trained a resolved config.
        source.merged.remove("provenance");
        Ok(source)
    }

    /// The same for a config that must have a checksum.
    ///
    /// # Errors
    /// As [`Source::load`], and when the checksum that is demanded is missing.
    fn load_checked(path: &Path, demand: ChecksumPolicy) -> Result<Self, ConfigError> {
        let mut layers: Vec<Layer> = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            if layers.len() == MOST_LAYERS {
                return Err(ConfigError::Circle(path));
            }
            let demand = if layers.is_empty() { demand } else { ChecksumPolicy::Listed };
            let text = match (read(&path, demand), layers.last()) {
                (Err(ConfigError::File(error)), Some(above)) => {
                    let problem = format!("base: {error}");
                    return Err(ConfigError::value(above.place("base").unwrap_or_default(), problem));
                }
                (text, _) => text?,
            };
            let base = parse(&text, &path)?.base;
            let layer = Layer { path: path.clone(), text };
            if base.as_deref().is_some_and(str::is_empty) {
                let place = layer.place("base").unwrap_or_default();
                return Err(ConfigError::value(place, "base: it names no file; write base = \"FILE\"".to_owned()));
            }
            next = base.map(|base| path.parent().unwrap_or(Path::new("")).join(base));
            layers.push(layer);
        }
        layers.reverse();
        Self::merge(layers)
    }

    /// A config given as text; `path` is for messages.
    ///
    /// # Errors
    /// When it is not a config.
    pub fn of_text(text: &str, path: &Path) -> Result<Self, ConfigError> {
        Self::merge(vec![Layer { path: path.to_owned(), text: text.to_owned() }])
    }

    fn merge(layers: Vec<Layer>) -> Result<Self, ConfigError> {
        let mut merged = toml::Table::new();
        for Layer { path, text } in &layers {
            // Each layer by itself, so that its errors have their line and column.
            parse(text, path)?;
            let table = toml::from_str(text).map_err(|error| ConfigError::parse(path, text, &error))?;
            overlay(&mut merged, table);
        }
        // They say how the text is read, and are no part of what it says.
        merged.remove("base");
        merged.remove("sweep");
        Ok(Self { layers, merged })
    }

    /// The file that was asked for, and its own text.
    pub fn own(&self) -> (&Path, &str) {
        // There is a layer for the file itself at the least.
        self.layers.last().map_or((Path::new(""), ""), |layer| (&layer.path, &layer.text))
    }

    /// The checked config with these values replaced, in order.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn resolve<'s>(
        &self,
        replaced: impl Iterator<Item = (&'s Override, Origin)> + Clone,
    ) -> Result<Config, ConfigError> {
        let mut table = self.merged.clone();
        for (set, origin) in replaced.clone() {
            let value_error = |problem| ConfigError::value(self.place(set, origin), problem);
            set.apply(&mut table).map_err(value_error)?;
        }
        let file: ConfigFile = match table.try_into() {
            Ok(file) => file,
            Err(error) => return Err(self.blame(replaced, &error)),
        };
        file.check().map_err(|Invalid { key, with, problem }| {
            let keys = [&[key], with].concat();
            let given = replaced.filter(|(set, _)| keys.iter().any(|key| set.gives(key))).last();
            let place = match given {
                Some((set, origin)) => self.place(set, origin),
                None => self.place_of(&keys),
            };
            ConfigError::value(place, format!("{key}: {problem}"))
        })
    }

    /// The error of the first replaced value that makes the config unreadable. The merged files are
    /// readable without any, so there is one.
    fn blame<'s>(
        &self,
        replaced: impl Iterator<Item = (&'s Override, Origin)>,
        error: &toml::de::Error,
    ) -> ConfigError {
        let mut table = self.merged.clone();
        for (set, origin) in replaced {
            let problem = set.apply(&mut table).err().or_else(|| {
                let read: Result<ConfigFile, toml::de::Error> = table.clone().try_into();
                read.err().map(|error| hints::in_plain_words(error.message()))
            });
            if let Some(problem) = problem {
                let hint = if problem.ends_with("expected a list") { hints::list } else { hints::number };
                let hint = set.leaves().into_iter().find_map(|(_, value)| hint(value.as_str()?));
                let hint = hint.filter(|_| problem.starts_with("invalid type: string"));
                let hint = hint.map_or(String::new(), |hint| format!("; {hint}"));
                return ConfigError::value(self.place(set, origin), one_line(&problem) + &hint);
            }
        }
        let (path, text) = self.own();
        ConfigError::parse(path, text, error)
    }

    fn place(&self, set: &Override, origin: Origin) -> String {
        match origin {
            Origin::CommandLine => format!("--set {}", one_line(&set.to_string())),
            Origin::Sweep(offset) => {
                let (path, text) = self.own();
                let (line, column) = position(text, offset);
                format!("{}:{line}:{column}", path.shown())
            }
        }
    }

    /// Where the last of the files that give one of these keys gives it; the first of the keys, where it gives several.
    fn place_of(&self, keys: &[&str]) -> String {
        let mut found = self.layers.iter().rev().flat_map(|layer| keys.iter().filter_map(|key| layer.place(key)));
        found.next().unwrap_or_else(|| format!("{} (default value)", self.own().0.shown()))
    }
}

impl ConfigFile {
    /// Reads a config, applies overrides in order, and checks it. A `[sweep]` in it is left aside: this is
    /// the run that the sweep's trials vary.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn load(path: &Path, overrides: &[Override]) -> Result<Config, ConfigError> {
        let source = Source::load(path)?;
        source.resolve(overrides.iter().map(|set| (set, Origin::CommandLine)))
    }

    /// The same for a config given as text; `name` is what messages call it.
    ///
    /// # Errors
    /// As [`ConfigFile::load`].
    pub fn of_text(text: &str, name: &Path, overrides: &[Override]) -> Result<Config, ConfigError> {
        let source = Source::of_text(text, name)?;
        source.resolve(overrides.iter().map(|set| (set, Origin::CommandLine)))
    }
}

impl Layer {
    /// File, line and column of a key's value.
    fn place(&self, key: &str) -> Option<String> {
        let (line, column) = locate(&self.text, key)?;
        Some(format!("{}:{line}:{column}", self.path.shown()))
    }
}

fn read(path: &Path, demand: ChecksumPolicy) -> Result<String, ConfigError> {
    let bytes = files::read_at_most(path, LARGEST)?;
    checksums::check(path, &bytes, demand)?;
    hints::utf8(bytes)
        .map_err(|((line, column), problem)| ConfigError::value(format!("{}:{line}:{column}", path.shown()), problem))
}

fn parse(text: &str, path: &Path) -> Result<ConfigFile, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::parse(path, text, &error))
}

/// Puts one table over another, section by section.
fn overlay(below: &mut toml::Table, above: toml::Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => overlay(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::Schedule;

    fn parse(text: &str, sets: &[&str]) -> Result<Config, String> {
        let sets: Vec<Override> = sets.iter().map(|set| set.parse().unwrap()).collect();
        let source = Source::of_text(text, Path::new("a.toml")).map_err(|error| error.to_string())?;
        source.resolve(sets.iter().map(|set| (set, Origin::CommandLine))).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_config_is_the_default_one_and_survives_a_round_trip() {
        let config = parse("", &[]).unwrap();
        assert_eq!(*config, ConfigFile::default());
        let again = parse(&config.to_toml(None), &[]).unwrap();
        assert_eq!(config, again);
        assert_eq!(config.hash(), again.hash());
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_refused_with_line_and_column() {
        let error = parse("seed = 1\n[training]\nstep = 3\n", &[]).unwrap_err();
        assert!(error.contains("a.toml") && error.contains("line 3, column 1"), "{error}");
        assert!(error.contains("unknown field `step`") && error.contains("`steps`"), "{error}");
        let error = parse("[training]\nsteps = \"many\"\n", &[]).unwrap_err();
        assert!(error.contains("line 2, column 9"), "{error}");
        let error = parse("[beta]\nschedule = \"sudden\"\n", &[]).unwrap_err();
        assert!(error.contains("line 2") && error.contains("phased"), "{error}");
        for (text, expected) in [
            ("seed = -1", "`-1`, expected a whole number from 0 up"),
            ("seed = 1.5", "number `1.5`, expected a whole number from 0 up"),
            ("data = 3", "`3`, expected a section of keys"),
            ("[model]\nheads = 3", "expected text in quotes"),
            ("[beta]\nvalue = \"x\"", "string \"x\", expected a number"),
        ] {
            let error = parse(text, &[]).unwrap_err();
            assert!(error.ends_with(expected), "{error}");
        }
        assert!(parse("", &["training=3"]).unwrap_err().ends_with("`3`, expected a section of keys"));
    }

    #[test]
    fn impossible_values_are_refused_with_line_and_column() {
        let error = parse("[training]\nsteps = 0\n", &[]).unwrap_err();
        assert!(error.starts_with("a.toml:2:9: training.steps: 0 is not between 1 and"), "{error}");
        let error = parse("[data]\nheld_out = nan\n", &[]).unwrap_err();
        assert!(error.starts_with("a.toml:2:12: data.held_out"), "{error}");
    }

    #[test]
    fn a_schedule_that_cannot_finish_is_an_error() {
        let error = parse("[training]\nsteps = 500\n[beta]\nschedule = \"linear\"\nrise = 501\n", &[]).unwrap_err();
        assert_eq!(
            error,
            "a.toml:5:8: beta.rise: this schedule needs 501 steps to reach beta.value, but training.steps is 500; \
             lower beta.rise or raise training.steps"
        );
        // Blamed is what was set last, not the default that it does not fit.
        let error = parse("[training]\nsteps = 401\n", &[]).unwrap_err();
        assert!(error.starts_with("a.toml:2:9: beta.rise: this schedule needs 402 steps"), "{error}");
        let error = parse("[training]\nsteps = 900\n", &["seed=2", "training={ steps = 401 }"]).unwrap_err();
        assert!(error.starts_with("--set training={ steps = 401 }: beta.rise: "), "{error}");
        let error = parse("", &["training.batch_size=32"]).unwrap_err();
        assert!(error.starts_with("--set training.batch_size=32: objective.codes: "), "{error}");
        assert!(parse("[training]\nsteps = 100\n", &["beta.schedule=constant"]).unwrap_err().contains("warm_up"));
        let cyclical = "[training]\nsteps = 16000\n[beta]\nschedule = \"cyclical\"\ncycles = 4\n";
        assert!(parse(&format!("{cyclical}rise = 4000\n"), &[]).is_ok());
        assert!(parse(&format!("{cyclical}rise = 4001\n"), &[]).is_err());
    }

    #[test]
    fn overrides_replace_values_and_name_themselves_when_they_are_wrong() {
        let config = parse("seed = 1\n", &["seed=7", "beta.schedule=constant", "model.latent_dim = 2"]).unwrap();
        assert_eq!((config.seed, config.beta.schedule, config.model.latent_dim), (7, Schedule::Constant, 2));
        let error = parse("", &["training.step=3"]).unwrap_err();
        assert!(error.starts_with("--set training.step=3: unknown field `step`"), "{error}");
        let error = parse("", &["training.steps=0"]).unwrap_err();
        assert!(error.starts_with("--set training.steps=0: training.steps: 0 is not between"), "{error}");
        assert!(parse("", &["sweep.seeds=[1, 2]"]).unwrap_err().contains("edit the config"));
        assert!(parse("seed = 1", &["seed.x=3"]).unwrap_err().contains("seed is no section"));
    }

    #[test]
    fn a_preset_builds_on_its_base_and_errors_name_the_file_at_fault() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("base.toml", "seed = 5\n[training]\nsteps = 900\nwarm_up = 7\n");
        write("preset.toml", "base = \"base.toml\"\n[training]\nsteps = 800\n");
        let load = || ConfigFile::load(&folder.path().join("preset.toml"), &[]);
        let config = load().unwrap();
        assert_eq!((config.seed, config.training.steps, config.training.warm_up), (5, 800, 7));
        write("base.toml", "[training]\nwarm_up = 800\n");
        // Each file by itself is right; the later one does not fit the earlier.
        let error = load().unwrap_err().to_string();
        assert!(
            error.contains("preset.toml:3:9: training.warm_up: ") && error.contains("training.steps is 800"),
            "{error}"
        );
        write("base.toml", "[training]\nwarm_up = -1\n");
        assert!(load().unwrap_err().to_string().contains("base.toml: TOML parse error at line 2, column 11"));
        write("base.toml", "[training]\nwarm = 1\n");
        assert!(load().unwrap_err().to_string().contains("base.toml: TOML parse error at line 2, column 1"));
        write("base.toml", "base = \"preset.toml\"\n");
        assert!(load().unwrap_err().to_string().contains("goes round in a circle"));
    }

    #[test]
    fn replaced_values_are_blamed_where_they_were_given() {
        let source = Source::of_text("seed = 1\n[sweep]\nx = 1", Path::new("a.toml")).unwrap();
        let wrong: Override = "training.steps=many".parse().unwrap();
        let error = source.resolve([(&wrong, Origin::Sweep(17))].into_iter()).unwrap_err().to_string();
        assert!(error.starts_with("a.toml:3:1: invalid type: string \"many\""), "{error}");
    }
}
