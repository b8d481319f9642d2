//! Huawei Cloud: the Tag Management Service, and as much of the identity service as it takes to call it.

mod auth;
mod body;
pub(in crate::sim) mod iam;
pub(in crate::sim) mod tms;

use super::super::reply::Reply;
use serde_json::json;

/// A refusal, in the envelope of whoever speaks: the gateway's is flat, the service's is nested.
fn refusal(status: u16, code: &str, message: &str, request_id: &str) -> Reply {
    let body = if code.starts_with("APIGW.") {
        json!({"error_code": code, "error_msg": message, "request_id": request_id})
    } else {
        json!({"error": {"error_code": code, "error_msg": message}})
    };
    Reply::json(status, &body).with("x-request-id", request_id)
}
