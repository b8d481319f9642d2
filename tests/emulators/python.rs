//! The Python that the emulators run in, made once and kept under `target/tmp`.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Both in one environment, with the boto3 that asks them what they hold.
const PACKAGES: [&str; 4] = ["moto[server]==5.2.5", "ministack==1.5.33", "boto3==1.43.106", "botocore==1.43.106"];

/// The interpreter of an environment with the emulators, or why there is none.
pub fn python() -> Result<PathBuf, String> {
    if std::env::var_os("TAGMILL_TEST_NO_EMULATORS").is_some_and(|value| value == "1") {
        return Err("TAGMILL_TEST_NO_EMULATORS is 1".into());
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Tests run side by side, and so may two runs of them.
    let lock = File::create(folder.join("emulators.lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let venv = folder.join("emulators");
    let python = venv.join("bin/python");
    // Written last: an installation that broke off is begun anew, and so is one of other versions.
    let finished = venv.join("installed");
    let wanted = PACKAGES.join(" ");
    if std::fs::read_to_string(&finished).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    eprintln!("installing {wanted} under {}", venv.display());
    succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"];
    succeeds(Command::new(&python).args(install).args(PACKAGES))?;
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
