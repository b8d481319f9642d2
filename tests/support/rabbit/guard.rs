//! Ends what a test started, even when the test itself is killed and no destructor runs.

use std::{
    io::Write as _,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

/// Reads process ids, the last line counts. At the end of its input it ends that process and removes the folder.
/// A process that was killed is given time to be gone, so that it cannot write into the folder behind our back.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
    kill -9 "$pid"
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" || break; sleep 0.1; done
fi
if [ -n "$1" ]; then rm -rf -- "$1"; fi
"#;

/// A shell of its own process group that waits for our end of a pipe to close.
pub struct Guard {
    shell: Child,
    line: Option<ChildStdin>,
}

impl Guard {
    /// Removes `folder` at the end, if there is one.
    pub fn new(folder: Option<&Path>) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "guard"]).arg(folder.unwrap_or(Path::new("")));
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        own_group(&mut shell);
        let mut shell = shell.spawn().expect("a shell");
        let line = shell.stdin.take();
        Self { shell, line }
    }

    /// The process to end, or none: its number may belong to somebody else once it has been waited for.
    pub fn watch(&mut self, process: Option<u32>) {
        let line = process.map_or_else(String::new, |pid| pid.to_string());
        let mut pipe = self.line.as_ref().expect("an open pipe");
        writeln!(pipe, "{line}").expect("the guard listens");
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.line = None;
        let _ = self.shell.wait();
    }
}

/// Ctrl-C and a runner's signals go to the group of the test; what is put in a group of its own is ended by us alone.
pub fn own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
}
