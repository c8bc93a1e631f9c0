//! What is fuzzed: every parser, by way of the functions that commands call.

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use cvae::analysis::settings;
use cvae::checksums::{self, ChecksumPolicy, SUMS, sha256};
use cvae::dates::{Date, Lines, ValidDates, has_date_shape, parse_line};
use cvae::experiment::{
    Config, ConfigFile, Experiment, Metrics, Override, Reading, Run, Submission, Trial, named_hash, split_words,
};
use cvae::metrics::Table;
use cvae::model::{Layout, Model, ModelConfig, TrainingState};
use cvae::task::network::Network;
use cvae::task::table::{self, TableOptions};
use cvae::task::{Kind, Truth, dates};
use cvae::training::{Checkpoint, History};

/// A parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// Condition lines.
    Lines,
    /// Dates.
    Dates,
    /// Files of conditions and predictions.
    Predictions,
    /// `--set key=value`, over a config.
    Overrides,
    /// Configs.
    Configs,
    /// Configs with a sweep.
    Sweeps,
    /// history.csv, as resumed runs and tests read it; charts read it as a table.
    Histories,
    /// metrics.csv with its checksum.
    Metrics,
    /// SHA256SUMS.
    Sums,
    /// Weights.
    Weights,
    /// Checkpoints.
    Checkpoints,
    /// Tables, as charts read them: history.csv, metrics.csv, results.csv.
    Tables,
    /// Options for a scheduler's command, as words.
    Words,
    /// What a scheduler was handed: the list of its tasks.
    Submissions,
    /// Tables that models are trained on.
    Schemas,
    /// Bayesian networks.
    Networks,
}

/// A table whose first column is given, another one binned; its rows and probabilities must add up.
fn schema(input: &[u8]) -> bool {
    let options =
        TableOptions { given: vec!["a".to_owned()], bins: [("n".to_owned(), 3)].into(), ..TableOptions::default() };
    table::read(input, Path::new("t.csv"), &options, Kind::Sample).is_ok_and(|truth| sound(&truth))
}

/// A network whose last variable is given.
fn network(input: &[u8]) -> bool {
    Network::parse(&String::from_utf8_lossy(input)).is_ok_and(|network| {
        let last: Vec<String> = network.names().last().map(str::to_owned).into_iter().collect();
        network.truth(&last, &[]).is_ok_and(|truth| sound(&truth))
    })
}

fn sound(truth: &Truth) -> bool {
    for group in 0..truth.len() {
        let sum: f64 = truth.probabilities(group).iter().sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        assert_eq!(truth.find(truth.condition(group)), Some(group));
        let label = truth.schema().label(truth.condition(group));
        assert!(!label.is_empty());
    }
    true
}

/// Says whether it accepted the input.
type Parser<'a> = Box<dyn FnMut(&[u8]) -> bool + 'a>;

impl Target {
    pub const ALL: &[Self] = &[
        Self::Lines,
        Self::Dates,
        Self::Predictions,
        Self::Overrides,
        Self::Configs,
        Self::Sweeps,
        Self::Histories,
        Self::Metrics,
        Self::Sums,
        Self::Weights,
        Self::Checkpoints,
        Self::Tables,
        Self::Words,
        Self::Submissions,
        Self::Schemas,
        Self::Networks,
    ];

    /// The name of its folder in the corpus.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Its share of all inputs: parsers that take a microsecond get most, those that read files few.
    pub fn per_mille(self) -> u64 {
        match self {
            Self::Lines => 300,
            Self::Dates => 240,
            Self::Predictions => 100,
            Self::Overrides => 60,
            Self::Configs => 60,
            Self::Sweeps => 30,
            Self::Histories => 30,
            Self::Metrics => 40,
            Self::Sums => 20,
            Self::Weights => 10,
            Self::Checkpoints => 10,
            Self::Tables => 20,
            Self::Words => 20,
            Self::Submissions => 10,
            Self::Schemas => 25,
            Self::Networks => 25,
        }
    }

    /// A corpus that is not text: as this version of the program writes it.
    pub fn made(self) -> anyhow::Result<Option<Vec<Vec<u8>>>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("made.safetensors");
        let model = Model::new(tiny(), dates::schema(), 1);
        match self {
            Self::Weights => model.save(&path)?,
            Self::Checkpoints => {
                let state = Checkpoint { step: 7, pending: vec![[0.5; 4]; 3], ..Checkpoint::default() };
                state.save(&path, &model.layout, TrainingState::new(model.weights))?;
            }
            _ => return Ok(None),
        }
        let mut files = vec![fs::read(&path)?];
        // Headers of few bytes, which mutations reach into, at the edges of what sizes can be.
        for (shape, end) in
            [("[2]", 8), ("[18446744073709551615]", u64::MAX), ("[0,9223372036854775808]", 0), ("[]", 4)]
        {
            let header = format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#);
            files.push([&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 8]].concat());
        }
        Ok(Some(files))
    }

    /// A function that parses one input; what it accepts must hold what the program relies on.
    pub fn parser(self, folder: &Path) -> anyhow::Result<Parser<'_>> {
        let file = |name: &str| folder.join(name);
        // What the corpus's configs build on.
        fs::write(file("default.toml"), include_str!("../experiments/default.toml"))?;
        Ok(match self {
            Self::Schemas => Box::new(schema),
            Self::Networks => Box::new(network),
            Self::Lines => Box::new(|input| line(&String::from_utf8_lossy(input))),
            Self::Dates => Box::new(|input| date(&String::from_utf8_lossy(input))),
            Self::Predictions => {
                let valid = ValidDates::new();
                Box::new(move |input| predictions(input, &valid))
            }
            Self::Overrides => {
                let path = file("config.toml");
                fs::write(&path, "seed = 1\n[training]\nsteps = 900\n")?;
                Box::new(move |input| {
                    let set = String::from_utf8_lossy(input).parse::<Override>();
                    set.is_ok_and(|set| config(ConfigFile::load(&path, &[set]).ok(), &file("again.toml")))
                })
            }
            Self::Configs => Box::new(move |input| {
                let path = write(file("config.toml"), input);
                config(ConfigFile::load(&path, &[]).ok(), &file("again.toml"))
            }),
            Self::Sweeps => Box::new(move |input| {
                let path = write(file("sweep.toml"), input);
                let experiment = Experiment::load(&path, &[], &file("runs"));
                experiment.is_ok_and(|experiment| {
                    assert!(experiment.trials.iter().all(|trial| trial.folder.starts_with(file("runs"))));
                    let named = |trial: &Trial| named_hash(&trial.name) == Some(trial.config.hash().as_str());
                    assert!(experiment.trials.iter().all(named));
                    !experiment.trials.is_empty()
                })
            }),
            Self::Histories => Box::new(move |input| {
                // A run in progress has no checksums; the digest is that of the input, as its checkpoint would have it.
                let path = write(file("history.csv"), input);
                let read = History::read(&path).is_ok();
                let _ = History::resume(&path, &sha256(input));
                read
            }),
            Self::Metrics => Box::new(move |input| {
                let path = write(file("metrics.csv"), input);
                fs::write(file(SUMS), format!("{}  metrics.csv\n", sha256(input))).expect("room for a file");
                let read = Metrics::read(&path).is_ok();
                fs::remove_file(file(SUMS)).expect("it was just written");
                read
            }),
            Self::Sums => {
                let path = file("metrics.csv");
                fs::write(&path, "x")?;
                Box::new(move |input| {
                    let sums = write(file(SUMS), input);
                    assert!(checksums::read(&path, ChecksumPolicy::Always).is_err(), "these are not its checksums");
                    let lenient = checksums::read(&path.with_file_name("default.toml"), ChecksumPolicy::Listed).is_ok();
                    fs::remove_file(sums).expect("it was just written");
                    lenient
                })
            }
            Self::Weights => {
                let written = self.made()?.unwrap_or_default();
                let path = file("model.safetensors");
                let read = move |input: &[u8]| {
                    fs::write(&path, input).expect("room for a file");
                    Model::load(tiny(), dates::schema(), &path).is_ok_and(|model| {
                        assert!(model.weights.iter().all(|weight| weight.is_finite()));
                        true
                    })
                };
                Box::new(move |input| {
                    // As it is: its own checksum tells of every change.
                    let own = read(input);
                    assert!(!own || written.iter().any(|file| file == input), "a changed file was taken for sound");
                    // With its own checksum mended, and with one beside it, as those of other programs.
                    let sealed = read(&resealed(input));
                    let sums = write(file(SUMS), format!("{}  model.safetensors\n", sha256(input)).as_bytes());
                    let beside = read(input);
                    fs::remove_file(sums).expect("it was just written");
                    own || sealed || beside
                })
            }
            Self::Checkpoints => {
                let written = self.made()?.unwrap_or_default();
                let layout = Layout::new(&tiny(), &dates::schema());
                Box::new(move |input| {
                    let path = write(file("checkpoint.safetensors"), input);
                    let own = Checkpoint::load(&path, &layout).is_ok();
                    assert!(!own || written.iter().any(|file| file == input), "a changed file was taken for sound");
                    fs::write(&path, resealed(input)).expect("room for a file");
                    // A hostile one, whose checksum fits: no run may take up what no run comes to.
                    Checkpoint::load(&path, &layout).is_ok_and(|(state, training)| {
                        if state.check(900, 10).is_ok() {
                            assert!((1..=900).contains(&state.step) && state.summed <= state.step);
                            assert!(state.seconds >= 0.0 && state.sums.iter().all(|sum| sum.is_finite()));
                        }
                        assert!(training.second.iter().all(|moment| *moment >= 0.0));
                        true
                    })
                })
            }
            Self::Words => Box::new(|input| {
                let words = split_words(&String::from_utf8_lossy(input));
                words.is_ok_and(|words| {
                    // Written as a shell takes them, they are the same words.
                    let again = words.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''")));
                    assert_eq!(split_words(&again.collect::<Vec<_>>().join(" ")).as_ref(), Ok(&words));
                    !words.is_empty()
                })
            }),
            Self::Submissions => {
                let folder = file("slurm");
                fs::create_dir_all(folder.join("1"))?;
                fs::write(folder.join("1/job"), "12 2026-01-01T00:00:00Z\n")?;
                Box::new(move |input| {
                    write(folder.join("1/tasks"), input);
                    let queue = || Ok(vec![("12".to_owned(), 0, false), ("12".to_owned(), 1, true)]);
                    Submission::all(&folder, queue).is_ok_and(|found| {
                        let [submitted] = found.as_slice() else { panic!("one was submitted, {found:?}") };
                        let known = |name: &String| submitted.trials.contains(name);
                        assert!(submitted.queued.iter().chain(&submitted.running).all(known));
                        !submitted.trials.is_empty()
                    })
                })
            }
            Self::Tables => {
                let folder = file("tables");
                fs::create_dir_all(&folder)?;
                Box::new(move |input| {
                    let path = write(folder.join("results.csv"), input);
                    // As an experiment of which nothing but its table is left.
                    for run in Run::find(&folder, Reading::ALL).into_iter().flatten() {
                        for setting in settings(&run.trials) {
                            assert!(setting.failed() <= setting.trials.len());
                        }
                    }
                    Table::read(&path, ChecksumPolicy::WithSums)
                        .is_ok_and(|table| table.measures().is_ok_and(|rows| !rows.is_empty()))
                })
            }
        })
    }
}

fn tiny() -> ModelConfig {
    ModelConfig { latent_dim: 1, hidden_dim: 4, angles: 1, ..ModelConfig::default() }
}

fn write(path: PathBuf, input: &[u8]) -> PathBuf {
    fs::write(&path, input).expect("room for a file");
    path
}

/// The same bytes with the checksum that they should have: what else could be wrong with them is looked at then.
fn resealed(input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    let start = br#"{"__metadata__":{"sha256":""#;
    let digest = 8 + start.len()..8 + start.len() + 64;
    if bytes.get(8..digest.start) == Some(start) && bytes.len() >= digest.end {
        bytes[digest.clone()].fill(b'0');
        let sum = sha256(&bytes);
        bytes[digest].copy_from_slice(sum.as_bytes());
    }
    bytes
}

fn line(text: &str) -> bool {
    match parse_line(text) {
        Ok(parsed) => {
            let again = format!("{} {}", parsed.condition, parsed.rest);
            assert_eq!(parse_line(&again), Ok(parsed), "{text:?}");
            assert!(text.ends_with(parsed.rest) || text.trim_end().ends_with(parsed.rest));
            if let Err(error) = parsed.condition_alone(text) {
                assert!((1..=text.chars().count()).contains(&error.column()), "{error}");
            }
            true
        }
        Err(error) => {
            assert!((1..=text.chars().count() + 1).contains(&error.column()), "{error}");
            assert!(error.to_string().chars().count() < 300, "{error}");
            false
        }
    }
}

fn date(text: &str) -> bool {
    text.parse::<Date>().is_ok_and(|date| {
        assert!(has_date_shape(text));
        assert_eq!(date.to_string().parse::<Date>(), Ok(date));
        (1800..=2200).contains(&date.year())
    })
}

fn predictions(input: &[u8], valid: &ValidDates) -> bool {
    let ends = input.iter().filter(|byte| **byte == b'\n').count();
    let (mut last, mut read) = (0, false);
    for line in Lines::new(BufReader::with_capacity(64, input)) {
        let line = line.expect("memory can be read");
        last += 1;
        assert_eq!(line.number, last);
        assert!(line.text.len() <= 3 * 4096);
        let Ok(parsed) = line.parse() else { continue };
        if let Ok(date) = parsed.rest.parse::<Date>() {
            assert_eq!(parsed.condition.misses(date).any(), !parsed.condition.explain(date).is_empty());
        }
        read |= parsed.condition_alone(&line.text).is_ok_and(|condition| valid.satisfiable(condition));
    }
    assert!(last as usize <= ends + 1);
    read
}

/// A config that was accepted is the same when it is written and read again.
fn config(config: Option<Config>, path: &Path) -> bool {
    config.is_some_and(|config| {
        fs::write(path, config.to_toml(None)).expect("room for a file");
        let again = ConfigFile::load(path, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.hash(), config.hash());
        true
    })
}
