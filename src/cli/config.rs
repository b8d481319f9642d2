//! `tagmill config init`: a config to start from.

use crate::config::DEFAULT_PATH;
use anyhow::Context as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// EX_CONFIG of sysexits.
const BAD_CONFIG: u8 = 78;

const STARTER: &str = include_str!("starter.yaml");

/// Work with the config file.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write a commented config to start from. An existing file is never overwritten.
    Init {
        /// Where to write it.
        #[arg(default_value = DEFAULT_PATH)]
        path: PathBuf,
    },
}

/// Runs one of the subcommands.
#[allow(clippy::needless_pass_by_value, reason = "every command takes its arguments alike")]
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Command::Init { path } = args.command;
    init(&path)
}

fn init(path: &Path) -> anyhow::Result<ExitCode> {
    // `create_new` leaves no gap between looking and writing.
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            eprintln!("{}: is there already and stays as it is; name another path", path.display());
            return Ok(ExitCode::from(BAD_CONFIG));
        }
        Err(error) => return Err(error).with_context(|| format!("{}: cannot be written", path.display())),
    };
    file.write_all(STARTER.as_bytes()).with_context(|| format!("{}: cannot be written", path.display()))?;
    eprintln!("{}: written; adapt its lane, then run tagmill validate --config {0}", path.display());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, fake};

    #[test]
    fn the_starter_is_a_good_config_with_and_without_its_comments() {
        let read = |text: &str| config::parse_with(text, Path::new("starter.yaml"), [], &fake::CATALOG);
        let plain = read(STARTER).unwrap();
        assert_eq!((plain.lanes.len(), plain.warnings.len(), plain.broker), (1, 0, None));
        // Whoever takes the `# ` from a setting gets a setting that works.
        let all: String = STARTER
            .lines()
            .map(|line| match line.trim_start().strip_prefix("#- ") {
                Some(setting) => format!("{}{setting}\n", &line[..line.len() - line.trim_start().len()]),
                None => format!("{line}\n"),
            })
            .collect();
        let full = read(&all).unwrap();
        assert_eq!((full.lanes.len(), full.warnings.len()), (1, 0), "{:?}", full.warnings);
        assert!(full.broker.is_some() && full.server.is_some());
    }

    #[test]
    fn init_writes_the_starter_and_never_overwrites() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tagmill.yaml");
        assert_eq!(format!("{:?}", init(&path).unwrap()), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), STARTER);
        std::fs::write(&path, "mine").unwrap();
        assert_eq!(format!("{:?}", init(&path).unwrap()), format!("{:?}", ExitCode::from(BAD_CONFIG)));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        assert!(init(&dir.path().join("no/such/folder.yaml")).is_err());
    }
}
