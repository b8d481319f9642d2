//! AWS: so far the Security Token Service, where everybody is told who they are.

pub(in crate::sim) mod sts;
