//! Where this machine keeps RabbitMQ: the scripts that start a server as they are, without a change of user.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Names the folder of `rabbitmq-server` and `rabbitmqctl` to use instead of the installed ones.
pub const SBIN: &str = "TAGMILL_RABBITMQ_SBIN";

#[derive(Clone, Debug)]
pub struct Installation {
    /// Holds `rabbitmq-server` and `rabbitmqctl`.
    pub sbin: PathBuf,
    pub epmd: PathBuf,
}

impl Installation {
    /// Looks in `TAGMILL_RABBITMQ_SBIN` alone if it is set, else where packages put RabbitMQ.
    pub fn find() -> Result<Self, String> {
        let folders = match env::var_os(SBIN).filter(|folder| !folder.is_empty()) {
            Some(folder) => vec![PathBuf::from(folder)],
            None => usual_folders(),
        };
        let complete =
            |folder: &&PathBuf| ["rabbitmq-server", "rabbitmqctl"].iter().all(|it| folder.join(it).is_file());
        let Some(sbin) = folders.iter().find(complete).cloned() else {
            return Err(format!("no rabbitmq-server and rabbitmqctl in {folders:?}"));
        };
        let path = env::var_os("PATH").unwrap_or_default();
        let places = [sbin.clone()].into_iter().chain(env::split_paths(&path));
        let places = places.chain(["/usr/lib/erlang/bin", "/usr/local/lib/erlang/bin"].map(PathBuf::from));
        let epmd = places.map(|folder| folder.join("epmd")).find(|file| file.is_file());
        Ok(Self { sbin, epmd: epmd.ok_or("no epmd of Erlang in the PATH")? })
    }

    /// The search path of a node: with the Erlang that was found first.
    pub fn path(&self) -> OsString {
        let path = env::var_os("PATH").unwrap_or_default();
        let erlang = self.epmd.parent().map(Path::to_owned);
        env::join_paths(erlang.into_iter().chain(env::split_paths(&path))).expect("a search path")
    }
}

fn usual_folders() -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from("/usr/lib/rabbitmq/bin")];
    let versions = std::fs::read_dir("/usr/lib/rabbitmq/lib").into_iter().flatten().flatten();
    let mut versions: Vec<_> = versions.map(|entry| entry.path().join("sbin")).collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders.extend(["/opt/homebrew/opt/rabbitmq/sbin", "/usr/local/opt/rabbitmq/sbin"].map(PathBuf::from));
    folders
}
