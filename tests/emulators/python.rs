//! The Python that the emulators run in.

#[path = "../support/python.rs"]
mod environment;

pub use environment::succeeds;
use std::path::PathBuf;

/// Both in one environment, with the boto3 that asks them what they hold.
const PACKAGES: [&str; 4] = ["moto[server]==5.2.5", "ministack==1.5.33", "boto3==1.43.106", "botocore==1.43.106"];

/// The interpreter of an environment with the emulators, or why there is none.
pub fn python() -> Result<PathBuf, String> {
    environment::environment("emulators", &PACKAGES, "TAGMILL_TEST_NO_EMULATORS")
}
