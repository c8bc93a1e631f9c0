//! The Rust program against the Python ones in `model/`: the same logits, dates, scores, messages and exit codes.
//!
//! Needs a Python with numpy and safetensors in `CVAE_PYTHON`: `make test-parity` makes one and runs these.

mod scorers;
mod tables;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cvae::checksums::sha256;
use cvae::experiment::load_model;
use cvae::model::{
    Decode, Decoder, Heads, Model, ModelConfig, Noise, Prior, Tensor, Tensors, Trunk, Values, save_tensors,
};
use cvae::random::{Purpose, normal, stream};
use cvae::task::Rows;
use cvae::task::dates::{self, ValidDates};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Python with these arguments, in this folder.
fn python(folder: &Path, arguments: &[&str]) -> Command {
    let interpreter = env::var_os("CVAE_PYTHON").expect("CVAE_PYTHON names a Python with numpy; run make test-parity");
    let mut command = Command::new(interpreter);
    // Helpers in Python leave no compiled files in the repository.
    command.current_dir(folder).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A program in `model/` with these arguments.
fn program(folder: &Path, name: &str, arguments: &[&str]) -> Command {
    let path = root().join("model").join(name);
    python(folder, &[&[path.to_str().unwrap()], arguments].concat())
}

fn cvae(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cvae"));
    command.current_dir(folder).args(arguments).env("NO_COLOR", "1");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn release() -> PathBuf {
    root().join("model")
}

/// A release of an untrained model of this kind.
fn untrained(folder: &Path, heads: Heads, trunk: Trunk, prior: Prior) -> PathBuf {
    let config =
        ModelConfig { latent_dim: 3, hidden_dim: 10, angles: 7, heads, trunk, prior, ..ModelConfig::default() };
    let folder = folder.join(format!("{heads:?}-{trunk:?}-{prior:?}"));
    fs::create_dir(&folder).unwrap();
    let mut model = Model::new(config, dates::schema(), 5);
    if let Some(output) = model.tensor_mut("prior.output.weight") {
        // It begins with zeros, as which it maps nothing.
        output.copy_from_slice(&normal(&mut stream(5, Purpose::Weights, 1), output.len()));
    }
    model.save(&folder.join("cvae.safetensors")).unwrap();
    let settings = format!(
        "[model]\nlatent_dim = 3\nhidden_dim = 10\nangles = 7\nheads = \"{heads:?}\"\ntrunk = \"{trunk:?}\"\nprior = \"{prior:?}\"\n"
    );
    fs::write(folder.join("config.toml"), settings.to_lowercase()).unwrap();
    folder
}

/// Value indices as a matrix of floats.
fn indices(rows: &Rows) -> Tensor {
    matrix(rows.iter().flatten().map(|value| f32::from(*value)).collect(), rows.width())
}

fn matrix(values: Vec<f32>, columns: usize) -> Tensor {
    Tensor { shape: vec![values.len() / columns, columns], values: Values::F32(values) }
}

/// Temperature and decoding that are compared. Draws are the median of each field's distribution.
const TEMPERATURES: [(&str, f64); 2] = [("1", 1.0), ("0.7", 0.7)];

/// Writes codes of these conditions, with the rows and logits that the model in this folder makes of them.
fn write_case(model: &Path, conditions: &Rows, case: &Path) {
    let (model, _) = load_model(model).unwrap();
    let latent = model.layout.latent;
    let z = normal(&mut stream(11, Purpose::Samples, 0), conditions.len() * latent);
    let mut decoder = Decoder::new(&model);
    let mut tensors = Tensors::new();
    let decodings = TEMPERATURES.map(|(name, temperature)| (format!("sampled.{name}"), Decode::Sample { temperature }));
    for (name, decode) in [("greedy".to_owned(), Decode::Greedy)].into_iter().chain(decodings) {
        let drawn = decoder.decode(conditions, &Noise::of_codes(z.clone(), &model), decode);
        let mut rows = Rows::new(conditions.width() + drawn.width());
        conditions.iter().zip(drawn.iter()).for_each(|(given, drawn)| rows.push(&[given, drawn].concat()));
        let mut logits = vec![Vec::new(); model.schema.generated.len()];
        decoder.forced_logits(&rows, &z, |_, column, row| logits[column].extend_from_slice(row));
        for (column, logits) in model.schema.generated.iter().zip(logits) {
            tensors.insert(format!("{name}.{}", column.name), matrix(logits, column.size()));
        }
        tensors.insert(format!("{name}.dates"), indices(&drawn));
    }
    tensors.insert("conditions".to_owned(), indices(conditions));
    tensors.insert("z".to_owned(), matrix(z, latent));
    save_tensors(&tensors, case).unwrap();
}

#[test]
#[ignore = "needs numpy and safetensors: make test-parity"]
fn both_programs_make_the_same_logits_and_dates_of_the_same_codes() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = [Heads::Independent, Heads::Autoregressive]
        .into_iter()
        .flat_map(|heads| [Trunk::Additive, Trunk::Multiplicative].map(|trunk| (heads, trunk, Prior::Standard)))
        .chain([(Heads::Autoregressive, Trunk::Multiplicative, Prior::Conditional)])
        .map(|(heads, trunk, prior)| untrained(folder.path(), heads, trunk, prior));
    let mut conditions = Rows::new(4);
    ValidDates::new().conditions().iter().for_each(|condition| conditions.push(&condition.row()));
    assert_eq!(conditions.len(), 6804);
    for model in std::iter::once(release()).chain(kinds) {
        same_logits(folder.path(), &model, &conditions);
    }
}

/// Compares both programs' logits and rows of the same codes.
fn same_logits(folder: &Path, model: &Path, conditions: &Rows) {
    let case = folder.join("case.safetensors");
    write_case(model, conditions, &case);
    let compare = root().join("tests/parity.py");
    let arguments = [compare.to_str().unwrap(), model.to_str().unwrap(), case.to_str().unwrap()];
    let output = python(folder, &arguments).output().unwrap();
    assert!(output.status.success(), "{}: {}{}", model.display(), text(&output.stdout), text(&output.stderr));
    println!("{}: {}", model.display(), text(&output.stdout).trim_end());
}

fn run(mut command: Command, input: Option<&[u8]>) -> Output {
    use std::io::Write;
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // A program that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.unwrap_or_default());
    child.wait_with_output().unwrap()
}

const A: &str = "[MON] [DEC] [False] [196]";

#[test]
#[ignore = "needs numpy and safetensors: make test-parity"]
fn both_programs_say_the_same_of_bad_input_and_end_alike() {
    let long = "x".repeat(5000);
    let many = format!("{A}\n") + &"[MON]\n".repeat(20);
    let marked = format!("\u{feff}{long}");
    let inputs: [(&str, &[u8]); 20] = [
        ("good", A.as_bytes()),
        ("ends", b"\xef\xbb\xbf [MON]\t[DEC][False] [196] 31-2-9999 \r\n[WED] [JAN] [True] [200]\r\n\n \n"),
        ("month", b"[MON] [DEZ] [False] [196]"),
        ("decade", b"[MON] [DEC] [False] [221] 1-1-2210"),
        ("leap", b"[MON] [DEC] [true] [196]"),
        ("short", b"[MON] [DEC]"),
        ("plain", b"MON DEC False 196"),
        ("open", "[\u{c4}\u{d6}\"\\\t\u{7f} and more than that".as_bytes()),
        ("soon", "[MON] [DEC] [False] [196]  s\u{f6}\u{f6}n ".as_bytes()),
        ("impossible", b"[MON] [JAN] [True] [220] 1-1-2200"),
        ("blank", b"\n[MON] [DEC] [False] [196]\n\n \n[MON] [DEC] [False] [196]\n\n"),
        ("bytes", b"\xff\xfe[MON]\n[MON] [DEC] [False] [196]"),
        ("long", long.as_bytes()),
        ("long after a mark", marked.as_bytes()),
        ("as long as can be after a mark", &marked.as_bytes()[..4097]),
        ("unicode", "\u{a0}[MON]\u{2003}[DEC] [False]\u{3000}[196] x-1-1".as_bytes()),
        ("control", b"[MON]\x1c[DEC] [False] [196]"),
        ("many", many.as_bytes()),
        ("empty", b""),
        ("only blank", b"\n \n\n"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let model = release();
    let here = folder.path();
    let without_dates = |name: &str| -> Option<Vec<String>> {
        let written = text(&fs::read(here.join(name)).ok()?);
        let dated = |line: &str| line.rsplit_once(' ').is_some_and(|(_, last)| last.split('-').count() == 3);
        let shorn =
            |line: &str| if dated(line) { line.rsplit_once(' ').unwrap().0.to_owned() + " date" } else { line.into() };
        Some(written.split('\n').map(shorn).collect())
    };
    for (name, bytes) in inputs {
        for more in [&[][..], &["--keep-going", "-n", "3"][..]] {
            fs::write(here.join("in.txt"), bytes).unwrap();
            let arguments = [&["-i", "in.txt", "--model", model.to_str().unwrap()], more].concat();
            let ours = run(cvae(here, &[&["predict", "rust.txt"][..], &arguments].concat()), None);
            let theirs = run(program(here, "predict.py", &[&["python.txt"][..], &arguments].concat()), None);
            assert_eq!(text(&ours.stderr), text(&theirs.stderr), "{name} {more:?}");
            assert_eq!(ours.status.code(), theirs.status.code(), "{name} {more:?}");
            assert_eq!(without_dates("rust.txt"), without_dates("python.txt"), "{name} {more:?}");
            for file in ["rust.txt", "python.txt"] {
                let _ = fs::remove_file(here.join(file));
            }
        }
    }
    assert_eq!(fs::read_dir(here).unwrap().count(), 1, "nothing but the input is left");
}

#[test]
#[ignore = "needs numpy and safetensors: make test-parity"]
fn both_programs_refuse_the_same_arguments_files_and_models() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("in.txt"), A).unwrap();
    let model = untrained(here, Heads::Autoregressive, Trunk::Multiplicative, Prior::Standard);
    let copy = |name: &str| {
        let to = here.join(name);
        fs::create_dir(&to).unwrap();
        for file in ["config.toml", "cvae.safetensors"] {
            fs::copy(model.join(file), to.join(file)).unwrap();
        }
        to
    };
    let settings = fs::read_to_string(model.join("config.toml")).unwrap();
    fs::write(copy("wider").join("config.toml"), settings.replace("angles = 7", "angles = 9")).unwrap();
    fs::write(copy("additive").join("config.toml"), settings.replace("multiplicative", "additive")).unwrap();
    fs::write(copy("independent").join("config.toml"), settings.replace("autoregressive", "independent")).unwrap();
    fs::remove_file(copy("no weights").join("cvae.safetensors")).unwrap();
    fs::remove_file(copy("no config").join("config.toml")).unwrap();
    fs::write(copy("both").join("model.safetensors"), "").unwrap();
    // A flipped bit against the checksum in the header, and a whole other file against the one beside it.
    let flipped = copy("flipped").join("cvae.safetensors");
    let mut bytes = fs::read(&flipped).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&flipped, bytes).unwrap();
    let config_line = format!("{}  config.toml\n", sha256(settings.as_bytes()));
    let weights_line = format!("{}  cvae.safetensors\n", "0".repeat(64));
    fs::write(copy("swapped").join("SHA256SUMS"), format!("{config_line}{weights_line}")).unwrap();
    // A file that the checksums don't list.
    fs::write(copy("config unlisted").join("SHA256SUMS"), &weights_line).unwrap();
    fs::write(copy("weights unlisted").join("SHA256SUMS"), &config_line).unwrap();
    let good = ["-i", "in.txt", "out.txt", "--model", model.to_str().unwrap()];
    // Arguments, exit code, and whether the messages are the same (clap's and argparse's own are not).
    let cases: [(&[&str], i32, bool); 20] = [
        (&["-i", "none.txt", "out.txt"], 2, true),
        (&["-i", ".", "out.txt"], 2, true),
        (&["-i", "in.txt", "out.txt", "--model", "wider"], 1, true),
        (&["-i", "in.txt", "out.txt", "--model", "additive"], 1, true),
        (&["-i", "in.txt", "out.txt", "--model", "independent"], 1, true),
        (&["-i", "in.txt", "out.txt", "--model", "no weights"], 1, true),
        (&["-i", "in.txt", "out.txt", "--model", "both"], 1, true),
        (&["-i", "in.txt", "out.txt", "--model", "nowhere"], 2, true),
        (&["-i", "in.txt", "no/such/folder/out.txt", "--model", good[4]], 1, true),
        (&["-i", "in.txt", ".", "--model", good[4]], 1, true),
        (&["-i", "in.txt", "out.txt", "--decode", "sample", "--temperature", "0"], 2, true),
        (&["-i", "in.txt", "out.txt", "--temperature", "2"], 2, true),
        (&["-i", "in.txt", "out.txt", "--model", "flipped"], 1, true),
        (&["-i", "in.txt", "out.txt", "--model", "swapped"], 1, true),
        (&["-i", "in.txt", "out.txt", "--model", "weights unlisted"], 1, true),
        (&["-i", "in.txt", "out.txt", "-n", "-1"], 2, false),
        (&["-i", "in.txt", "out.txt", "--decode", "best"], 2, false),
        (&["-i", "in.txt", "out.txt", "-n", "0"], 2, false),
        (&["-i", "in.txt", "out.txt", "-o", "out.txt"], 2, false),
        (&["-i", "in.txt"], 2, true),
    ];
    for (arguments, code, alike) in cases {
        let ours = run(cvae(here, &[&["predict"], arguments].concat()), None);
        let theirs = run(program(here, "predict.py", arguments), None);
        assert_eq!(ours.status.code(), Some(code), "{arguments:?}: {}", text(&ours.stderr));
        assert_eq!(theirs.status.code(), Some(code), "{arguments:?}: {}", text(&theirs.stderr));
        if alike {
            assert_eq!(text(&ours.stderr), text(&theirs.stderr), "{arguments:?}");
        }
        assert!(!here.join("out.txt").exists());
    }
    // What a config's own errors say is up to each program; both refuse, with the file's name.
    for model in ["no config", "config unlisted"] {
        let arguments = ["-i", "in.txt", "out.txt", "--model", model];
        for refused in [cvae(here, &[&["predict"][..], &arguments].concat()), program(here, "predict.py", &arguments)] {
            let output = run(refused, None);
            assert!(matches!(output.status.code(), Some(1 | 2)), "{}", text(&output.stderr));
            assert!(text(&output.stderr).contains("config.toml"), "{}", text(&output.stderr));
        }
    }
}

#[test]
#[ignore = "needs numpy and safetensors: make test-parity"]
fn standard_streams_seeds_and_sampling_work_in_python_too() {
    let folder = tempfile::tempdir().unwrap();
    let draw = |more: &[&str]| {
        let output = run(
            program(folder.path(), "predict.py", &[&["-i", "-", "-", "-n", "30"], more].concat()),
            Some(A.as_bytes()),
        );
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let greedy = draw(&[]);
    assert_eq!(greedy.lines().count(), 30);
    assert!(greedy.ends_with('\n') && greedy.lines().all(|line| line.starts_with(A)));
    assert_eq!(greedy, draw(&["--seed", "1"]));
    assert_ne!(greedy, draw(&["--seed", "2"]));
    let sampled = draw(&["--decode", "sample"]);
    assert_ne!(greedy, sampled);
    assert_ne!(sampled, draw(&["--decode", "sample", "--temperature", "0.5"]));
}

#[test]
#[ignore = "needs numpy and safetensors: make test-parity"]
fn programs_in_python_treat_standard_streams_and_memory_as_cvae_does() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("in.txt"), format!("{A} 3-12-1962\n")).unwrap();
    let python = std::env::var("CVAE_PYTHON").expect("CVAE_PYTHON");
    let shell = |script: &str| {
        let mut command = Command::new("timeout");
        command.args(["-k", "1", "100", "bash", "-c", script, env!("CARGO_BIN_EXE_cvae"), &python]);
        run(
            {
                command.arg(root().join("model")).current_dir(here);
                command
            },
            None,
        )
    };
    for redirected in [">&-", "> /dev/full", "<&- >&-", "| head -c 0", "2>&-", "<&-"] {
        for (rust, script) in [
            ("predict -i in.txt -", "predict.py -i in.txt -"),
            ("eval in.txt", "eval.py in.txt"),
            ("predict -i - -", "predict.py -i - -"),
            ("eval -", "eval.py -"),
            ("--help", "eval.py --help"),
            ("predict --help", "predict.py --help"),
        ] {
            let ended = |command: String| {
                let output = shell(&format!("{command} {redirected}; exit ${{PIPESTATUS[0]}}"));
                assert!(!text(&output.stderr).contains("Traceback"), "{command}: {}", text(&output.stderr));
                (output.status.code(), text(&output.stderr).lines().last().map(str::to_owned))
            };
            let (ours, theirs) = (ended(format!("\"$0\" {rust}")), ended(format!("\"$1\" \"$2\"/{script}")));
            assert_eq!(ours.0, theirs.0, "{script} {redirected}: {ours:?} {theirs:?}");
            if ours.0 == Some(1) {
                assert_eq!(ours.1, theirs.1, "{script} {redirected}");
            }
        }
    }
    // Encodings that hold less than Unicode, and names that are no Unicode.
    for script in [
        "printf '%s \\u00f6\\n' '[MON] [DEC] [False] [196]' > in.txt; PYTHONIOENCODING=latin-1 \"$1\" \"$2\"/eval.py in.txt",
        "printf '%s \\u4e00\\n' '[MON] [DEC] [False] [196]' > in.txt; PYTHONIOENCODING=ascii \"$1\" \"$2\"/eval.py in.txt",
        "printf '%s \\u4e00\\n' '[MON] [DEC] [False] [196]' > in.txt; PYTHONIOENCODING=latin-1 \"$1\" \"$2\"/predict.py -i in.txt - --keep-going; [ $? = 3 ]",
        "cp in.txt $'in\\xff.txt'; \"$1\" \"$2\"/eval.py $'in\\xff.txt'",
        "sed -i 's/ [^ ]*$//' $'in\\xff.txt'; \"$1\" \"$2\"/predict.py -i $'in\\xff.txt' $'out\\xff.txt'",
    ] {
        let output = shell(script);
        assert_eq!(output.status.code(), Some(0), "{script}: {}", text(&output.stderr));
    }
    // A long line takes no memory to speak of, and an endless one ends.
    for (program, code) in [("eval.py -", 2), ("predict.py -i - -", 2)] {
        let input = "head -c 60000000 /dev/zero | tr '\\0' x";
        let output = shell(&format!(
            "export OPENBLAS_NUM_THREADS=1; {input} | (ulimit -v 500000; exec \"$1\" \"$2\"/{program})"
        ));
        assert_eq!(output.status.code(), Some(code), "{program}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains("the line is longer than 4096 bytes"), "{}", text(&output.stderr));
    }
    for input in ["/dev/zero", "/dev/urandom"] {
        for (rust, script) in [("eval", "eval.py"), ("predict -o - -i", "predict.py -o - -i")] {
            let [ours, theirs] = [format!("\"$0\" {rust} {input}"), format!("\"$1\" \"$2\"/{script} {input}")]
                .map(|command| shell(&command));
            assert_eq!((ours.status.code(), theirs.status.code()), (Some(1), Some(1)));
            assert_eq!(text(&ours.stderr).lines().last(), text(&theirs.stderr).lines().last(), "{script} {input}");
        }
    }
}
