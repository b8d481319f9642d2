//! AWS: `aws-tagging`, `aws-backup`, `aws-ml` and `aws-s3`, four APIs with one signer.

pub mod sign;
