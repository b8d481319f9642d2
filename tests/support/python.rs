//! Python environments of the tests' own, made once each and kept under `target/tmp`.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The interpreter of an environment with these packages, or why there is none. `left_out` is the variable that leaves
/// the tests out which need it.
pub fn environment(name: &str, packages: &[&str], left_out: &str) -> Result<PathBuf, String> {
    if std::env::var_os(left_out).is_some_and(|value| value == "1") {
        return Err(format!("{left_out} is 1"));
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Tests run side by side, and so may two runs of them.
    let lock = File::create(folder.join(format!("{name}.lock"))).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let venv = folder.join(name);
    let python = venv.join("bin/python");
    // Written last: an installation that broke off is begun anew, and so is one of other versions.
    let finished = venv.join("installed");
    let wanted = packages.join(" ");
    if std::fs::read_to_string(&finished).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    eprintln!("installing {wanted} under {}", venv.display());
    succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"];
    succeeds(Command::new(&python).args(install).args(packages))?;
    std::fs::write(&finished, wanted).map_err(|error| error.to_string())?;
    Ok(python)
}

/// What a command prints, or what it said last when it failed.
pub fn succeeds(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}", command.get_program().display(), said.lines().last().unwrap_or("failed without a word")))
}
