//! The Tag Management Service: tag and untag in batches, read one resource's tags back.

use super::{
    super::{
        super::{
            call::{self, Exchange},
            cloud::{Cloud, World},
            config::ThrottledBy,
            counts::Outcome,
            percent,
            reply::Reply,
            request::Request,
        },
        Command, Dialect, Op, Refusal, Target, Trouble,
    },
    auth::{self, Identity},
    body, refusal,
};
use crate::worker::clock;
use hyper::Method;
use jiff::Timestamp;
use serde_json::json;

const CREATE: &str = "/v1.0/resource-tags/batch-create";
const DELETE: &str = "/v1.0/resource-tags/batch-delete";

pub(in crate::sim) fn claims(request: &Request) -> bool {
    request.path.starts_with("/v1.0/resource-tags/") || request.path.starts_with("/v2.0/resources/")
}

pub(in crate::sim) fn answer(world: &World, request: &Request) -> Exchange {
    match auth::identify(world, request) {
        Ok((cloud, identity)) => call::answer(cloud, request, &Tms { request, identity }),
        Err(why) => {
            world.count_unmatched();
            refusal(why.status, &why.code, &why.message, &clock::nonce()).into()
        }
    }
}

struct Tms<'r> {
    request: &'r Request,
    identity: Identity,
}

impl Dialect for Tms<'_> {
    fn authenticate(&self, cloud: &Cloud, now: Timestamp) -> Result<Option<String>, Refusal> {
        auth::authenticate(cloud, self.request, &self.identity, now, true).map(|()| None)
    }

    fn command(&self, cloud: &Cloud) -> Result<Command, Refusal> {
        match (&self.request.method, self.request.path.as_str()) {
            (&Method::POST, CREATE) => body::batch(&self.request.body, false, cloud),
            (&Method::POST, DELETE) => body::batch(&self.request.body, true, cloud),
            (&Method::GET, path) => self.read(path, cloud),
            (_, CREATE | DELETE) => Err(Refusal::rejected(405, "TMS.0002", "Method not allowed")),
            _ => Err(Refusal::rejected(404, "APIGW.0101", "The API does not exist")),
        }
    }

    /// A 200 lists the resources that failed; the others are done.
    fn all_or_nothing(&self) -> bool {
        false
    }

    fn words(&self, trouble: &Trouble, cloud: &Cloud) -> Refusal {
        let by_token = matches!(self.identity, Identity::Token(_));
        match trouble {
            Trouble::Throttled => match cloud.config.throttled_by {
                ThrottledBy::Service => Refusal::new(403, "TMS.0006", "Too many requests", Outcome::Throttled),
                ThrottledBy::Gateway => {
                    Refusal::new(429, "APIGW.0308", "The throttling threshold has been reached", Outcome::Throttled)
                }
            },
            Trouble::Internal | Trouble::Passing => Refusal::new(500, "TMS.0001", "System error", Outcome::Error500),
            Trouble::Unavailable => Refusal::new(503, "APIGW.0201", "Backend unavailable", Outcome::Error503),
            Trouble::Denied => Refusal::new(403, "TMS.0004", "No permission", Outcome::Denied),
            Trouble::Expired if by_token => Refusal::auth(401, "APIGW.0307", "The token must be updated."),
            Trouble::Expired => {
                Refusal::auth(401, "APIGW.0301", "Incorrect IAM authentication information: security token expired")
            }
            Trouble::Revoked | Trouble::Replayed => {
                Refusal::auth(401, "APIGW.0301", "Incorrect IAM authentication information: the key is disabled")
            }
            Trouble::Unknown => Refusal::rejected(404, "TMS.0005", "The resource does not exist"),
            // Neither happens here: the faults are S3's.
            Trouble::Conflict | Trouble::SystemTag => self.words(&Trouble::NotReady(None), cloud),
            Trouble::NotReady(code) => {
                let code = code.clone().unwrap_or_else(|| "TMS.0001".to_owned());
                Refusal::new(500, code, "The resource is not ready yet", Outcome::NotReady)
            }
            Trouble::Quota(most) => {
                Refusal::rejected(400, "TMS.0002", format!("Bad request: a resource has at most {most} tags"))
            }
            Trouble::Failed(code, message) => Refusal::rejected(400, code.clone(), message.clone()),
        }
    }

    fn refuse(&self, why: &Refusal, request_id: &str) -> Reply {
        refusal(why.status, &why.code, &why.message, request_id)
    }

    fn done(&self, command: &Command, failed: &[(&Target, Refusal)], found: &[(String, String)], id: &str) -> Reply {
        let body = if matches!(command.op, Op::Read) {
            let tags: Vec<_> = found.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
            json!({ "tags": tags })
        } else {
            let failed: Vec<_> = failed
                .iter()
                .map(|(target, why)| {
                    json!({"resource_id": target.id, "resource_type": target.label,
                        "error_code": why.code, "error_msg": why.message})
                })
                .collect();
            json!({ "failed_resources": failed })
        };
        Reply::json(200, &body).with("x-request-id", id)
    }
}

impl Tms<'_> {
    /// `GET /v2.0/resources/{id}/tags?project_id=..&resource_type=..`
    fn read(&self, path: &str, cloud: &Cloud) -> Result<Command, Refusal> {
        let id = path.strip_prefix("/v2.0/resources/").and_then(|rest| rest.strip_suffix("/tags"));
        let Some(id) = id.filter(|id| !id.is_empty() && !id.contains('/')) else {
            return Err(Refusal::rejected(404, "APIGW.0101", "The API does not exist"));
        };
        let pairs = self.request.query_pairs();
        let find = |wanted| pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let kind = find("resource_type").unwrap_or_default();
        let target = body::target(find("project_id"), kind, &percent::decode(id, false), cloud)?;
        Ok(Command { resources: vec![target], op: Op::Read })
    }
}
