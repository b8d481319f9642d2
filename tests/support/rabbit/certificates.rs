//! A certificate authority of the test's own, with one server and one client, made by the openssl command.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// PEM files in a folder of their own: `ca.pem`, and certificate and PKCS #8 key of the server and of a client.
#[derive(Clone, Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    pub fn can_be_made() -> bool {
        let version = Command::new("openssl").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    }

    /// Makes them in `folder`. The server is `localhost` and 127.0.0.1; the client's common name is `tagmill`.
    pub fn make(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder for certificates");
        let made = Self { folder: folder.to_owned() };
        made.authority();
        made.sign("server", "localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n");
        made.sign("client", "tagmill", "extendedKeyUsage=clientAuth\n");
        made
    }

    pub fn ca(&self) -> PathBuf {
        self.file("ca.pem")
    }

    pub fn server(&self) -> PathBuf {
        self.file("server.pem")
    }

    pub fn server_key(&self) -> PathBuf {
        self.file("server.key")
    }

    pub fn client(&self) -> PathBuf {
        self.file("client.pem")
    }

    pub fn client_key(&self) -> PathBuf {
        self.file("client.key")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn authority(&self) {
        // Extensions from our own file: what a system's openssl.cnf adds differs from one to the next.
        let config = "[req]\ndistinguished_name=name\nx509_extensions=ca\n[name]\n\
                      [ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n";
        fs::write(self.file("ca.cnf"), config).expect("a file");
        let subject = ["-subj", "/CN=tagmill test authority", "-days", "2", "-config", "ca.cnf"];
        self.openssl(&[&["req", "-x509", "-out", "ca.pem", "-keyout", "ca.key"], &subject[..], NEW_KEY].concat());
    }

    fn sign(&self, name: &str, common_name: &str, extensions: &str) {
        let [key, request, extension_file, certificate] =
            ["key", "csr", "ext", "pem"].map(|kind| format!("{name}.{kind}"));
        let subject = format!("/CN={common_name}");
        let asked = ["req", "-out", &request, "-keyout", &key, "-subj", &subject, "-config", "ca.cnf"];
        self.openssl(&[&asked[..], NEW_KEY].concat());
        let key_id = "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n";
        fs::write(self.file(&extension_file), format!("{extensions}{key_id}")).expect("a file");
        let by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", &extension_file];
        self.openssl(&[&["x509", "-req", "-in", &request, "-out", &certificate], &by[..]].concat());
    }

    fn openssl(&self, arguments: &[&str]) {
        let done = Command::new("openssl").args(arguments).current_dir(&self.folder).output().expect("openssl");
        assert!(done.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

/// P-256, because a key of it is made in no time; without a passphrase.
const NEW_KEY: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
