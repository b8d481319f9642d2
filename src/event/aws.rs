//! AWS: the envelope of EventBridge, and the CloudTrail record in its `detail`.

use super::{
    Event, Ignored, Source,
    envelope::{Envelope, Facts, at, event, is_there, text, time},
};
use serde_json::Value;

/// Reads an event. It is the envelope as EventBridge sends it, or a record of its own.
pub(super) fn read(envelope: &Envelope, mut value: Value) -> Result<Event, String> {
    let field = |name: &str| value.get(name).and_then(text);
    let mut facts = Facts {
        id: field("id").or_else(|| envelope.id.clone()),
        source: field("source").or_else(|| envelope.source.clone()),
        account: field("account"),
        region: field("region"),
        time: value.get("time").and_then(time).or(envelope.time),
        ..Facts::default()
    };
    let kind = field("detail-type").or_else(|| envelope.kind.clone());
    let bare = is_there(&value, "eventName");
    let record = match value.get_mut("detail") {
        Some(detail) => detail.take(),
        None if bare => value,
        None => return Err("it is neither an event of EventBridge (with `detail`) nor a CloudTrail record".into()),
    };
    if !record.is_object() {
        return Err("its `detail` is no object".into());
    }
    facts.id = facts.id.or_else(|| at(&record, &["eventID"]));
    facts.name = at(&record, &["eventName"]).or(kind);
    let service = at(&record, &["eventSource"]).or_else(|| facts.source.clone());
    facts.service = service.map(|service| {
        let service = service.strip_suffix(".amazonaws.com").unwrap_or(&service);
        service.strip_prefix("aws.").unwrap_or(service).to_owned()
    });
    facts.account = at(&record, &["recipientAccountId"]).or(facts.account);
    facts.region = at(&record, &["awsRegion"]).or(facts.region);
    facts.time = record.get("eventTime").and_then(time).or(facts.time);
    facts.creator = creator(&record);
    facts.ignored = ignored(&record);
    event(Source::Aws, facts, record)
}

fn ignored(record: &Value) -> Option<Ignored> {
    let by_a_service = at(record, &["userIdentity", "type"]).as_deref() == Some("AWSService");
    if is_there(record, "errorCode") {
        Some(Ignored::Failed)
    } else if by_a_service || at(record, &["eventType"]).as_deref() == Some("AwsServiceEvent") {
        Some(Ignored::Internal)
    } else if record.get("readOnly") == Some(&Value::Bool(true)) {
        Some(Ignored::ReadOnly)
    } else {
        None
    }
}

/// Beginnings of session names that a machine or a library gives: an instance, a function, a role taken without a name.
const MACHINES: [&str; 5] = ["i-", "awslambda", "botocore-session-", "aws-go-sdk-", "aws-sdk-"];

/// A person's name where there is one. The session of a machine's role is named after the machine: that is nobody.
fn creator(record: &Value) -> Option<String> {
    let identity = record.get("userIdentity")?;
    match at(identity, &["type"])?.as_str() {
        "Root" => Some("root".into()),
        "AssumedRole" => {
            let role = at(identity, &["sessionContext", "sessionIssuer", "userName"]);
            if role.is_some_and(|role| role.starts_with("AWSServiceRole")) {
                return None;
            }
            last(identity).filter(|session| !MACHINES.iter().any(|start| session.starts_with(start)))
        }
        "FederatedUser" | "WebIdentityUser" | "SAMLUser" => at(identity, &["userName"]).or_else(|| last(identity)),
        _ => at(identity, &["userName"]),
    }
}

/// The last part of the caller's ARN.
fn last(identity: &Value) -> Option<String> {
    let arn = at(identity, &["arn"])?;
    arn.rsplit('/').next().filter(|name| !name.is_empty() && *name != arn).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn who(identity: &Value) -> Option<String> {
        creator(&json!({ "userIdentity": identity }))
    }

    #[test]
    fn the_creator_is_a_person_or_nobody() {
        let arn = |session: &str| format!("arn:aws:sts::111122223333:assumed-role/dev/{session}");
        let assumed = |session: &str, role: &str| json!({"type":"AssumedRole","arn":arn(session),"sessionContext":{"sessionIssuer":{"userName":role}}});
        assert_eq!(who(&assumed("alice", "dev")).as_deref(), Some("alice"));
        assert_eq!(who(&assumed("i-0abc", "app")), None, "a machine");
        assert_eq!(who(&assumed("botocore-session-1764309600", "dev")), None, "a library");
        assert_eq!(who(&assumed("AutoScaling", "AWSServiceRoleForAutoScaling")), None, "a service");
        assert_eq!(who(&json!({"type":"IAMUser","userName":"bob"})).as_deref(), Some("bob"));
        assert_eq!(who(&json!({"type":"Root","arn":"arn:aws:iam::1:root"})).as_deref(), Some("root"));
        assert_eq!(who(&json!({"type":"AWSService","invokedBy":"x"})), None);
        assert_eq!(who(&json!({"userName":"no type"})), None);
    }
}
