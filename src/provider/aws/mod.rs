//! AWS: `aws-tagging`, `aws-backup`, `aws-ml` and `aws-s3`, four APIs with one signer.

mod arn;
mod classify;
mod json;
mod place;
mod rules;
pub mod sign;
pub mod tagging;
