//! AWS: `aws-tagging`, `aws-backup`, `aws-ml` and `aws-s3`, four APIs with one signer.

mod arn;
pub mod backup;
mod classify;
mod json;
pub mod ml;
mod place;
mod rules;
pub mod s3;
pub mod sign;
pub mod tagging;

/// How all four are signed.
const AUTH: &str = "AWS4-HMAC-SHA256";
