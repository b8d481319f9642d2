//! `tagmill completions`: for bash, zsh, fish, elvish and PowerShell.

use super::Cli;
use anyhow::Context as _;
use clap::CommandFactory as _;
use std::{io::Write as _, process::ExitCode};

/// Print completions for a shell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which shell
    shell: clap_complete::Shell,
}

/// Prints them to stdout.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tagmill", &mut text);
    std::io::stdout().write_all(&text).context("writing to stdout")?;
    Ok(ExitCode::SUCCESS)
}
