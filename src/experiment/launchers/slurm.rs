//! Handing an experiment to Slurm as a job array, one task for each trial.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::plan::Experiment;
use crate::files::{self, FileError};

/// Why a job array could not be submitted.
#[derive(Debug, thiserror::Error)]
pub enum SlurmError {
    /// The script or a log's folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// sbatch could not be started.
    #[error("sbatch could not be started ({0}); run this where Slurm's commands are, or use --launcher local")]
    Missing(std::io::Error),
    /// sbatch refused the job.
    #[error("sbatch refused {path}: {message}")]
    Refused {
        /// The script.
        path: PathBuf,
        /// What sbatch said.
        message: String,
    },
}

/// Writes a job script beside the trials and submits it; returns the job's number.
///
/// Every task runs `cvae sweep CONFIG --index I`, so that a task which is requeued takes its trial up at
/// its checkpoint. At most `jobs` tasks run at a time.
///
/// # Errors
/// When the script can't be written or sbatch refuses it.
pub fn submit(
    experiment: &Experiment,
    tasks: &[usize],
    arguments: &[String],
    jobs: usize,
    options: &str,
) -> Result<String, SlurmError> {
    let folder = experiment.folder.join("slurm");
    files::make_folder(&folder)?;
    let program = std::env::current_exe().map_err(FileError::at("find", Path::new("this program")))?;
    let command = command(&program, arguments);
    let script = script(&experiment.name, &folder, tasks, &command, (jobs, experiment.threads()));
    let path = folder.join("job.sh");
    files::replace_text(&path, &script)?;
    let mut sbatch = Command::new("sbatch");
    sbatch.arg("--parsable").args(options.split_whitespace()).arg(&path);
    let output = sbatch.output().map_err(SlurmError::Missing)?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(SlurmError::Refused { path, message });
    }
    let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    // `--parsable` answers `job` or `job;cluster`.
    Ok(answer.split(';').next().unwrap_or_default().to_owned())
}

/// What a task runs, but for its index.
fn command(program: &Path, arguments: &[String]) -> String {
    let mut words = vec![quoted(&program.display().to_string()), "sweep".to_owned()];
    words.extend(arguments.iter().map(|word| quoted(word)));
    words.join(" ")
}

fn script(name: &str, folder: &Path, tasks: &[usize], command: &str, (jobs, threads): (usize, usize)) -> String {
    format!(
        "#!/bin/bash\n\
         #SBATCH --job-name={name}\n\
         #SBATCH --array={}%{jobs}\n\
         #SBATCH --requeue\n\
         #SBATCH --open-mode=append\n\
         #SBATCH --ntasks=1 --cpus-per-task={threads}\n\
         #SBATCH --output={}/%a.log\n\
         # Ends with 75 when told to stop: with RequeueExit=75 Slurm runs it again, from its checkpoint.\n\
         exec {command} --index \"$SLURM_ARRAY_TASK_ID\"\n",
        ranges(tasks),
        folder.display(),
    )
}

/// `0-3,7` for 0, 1, 2, 3 and 7.
fn ranges(tasks: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for task in tasks {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *task => *last = *task,
            _ => ranges.push((*task, *task)),
        }
    }
    let range =
        |(first, last): &(usize, usize)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    ranges.iter().map(range).collect::<Vec<_>>().join(",")
}

/// A word that the shell takes as it stands.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_written_as_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 3, 7, 9, 10]), "0-3,7,9-10");
        assert_eq!(ranges(&[5]), "5");
    }

    #[test]
    fn the_script_runs_each_trial_by_its_index() {
        let arguments = ["it's.toml".to_owned(), "--runs".to_owned(), "my runs".to_owned()];
        let command = command(Path::new("/bin/cvae"), &arguments);
        let script = script("quick", Path::new("runs/quick/slurm"), &[0, 2], &command, (4, 2));
        assert!(
            script.contains(" --cpus-per-task=2\n")
                && script.contains("#SBATCH --array=0,2%4\n")
                && script.contains("#SBATCH --requeue\n")
        );
        assert!(
            script.ends_with(
                "exec '/bin/cvae' sweep 'it'\\''s.toml' '--runs' 'my runs' --index \"$SLURM_ARRAY_TASK_ID\"\n"
            )
        );
    }
}
