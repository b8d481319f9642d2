//! Alibaba Cloud: ActionTrail records as EventBridge sends them, CloudEvents with attributes of its own.

use super::{
    Event, Ignored, Source,
    envelope::{Envelope, Facts, at, event, is_there, time},
};
use serde_json::Value;

/// Reads an event from its attributes and its `data`.
pub(super) fn read(envelope: &Envelope, record: Value) -> Result<Event, String> {
    if !record.is_object() {
        return Err("its `data` is no object".into());
    }
    let service = at(&record, &["serviceName"]).or_else(|| {
        // `ecs:ActionTrail:ApiCall`, or the source `acs.ecs`.
        let kind = envelope.kind.as_deref().and_then(|kind| Some(kind.split_once(':')?.0.to_owned()));
        kind.or_else(|| envelope.source.as_deref().map(|source| source.trim_start_matches("acs.").to_owned()))
    });
    let facts = Facts {
        id: envelope.id.clone().or_else(|| at(&record, &["eventId"])),
        source: envelope.source.clone(),
        service,
        name: at(&record, &["eventName"]).or_else(|| envelope.kind.clone()),
        time: record.get("eventTime").and_then(time).or(envelope.time),
        account: at(&record, &["recipientAccountId"]).or_else(|| envelope.more("aliyunaccountid")),
        region: at(&record, &["acsRegion"]).or_else(|| envelope.more("aliyunregionid")),
        project: None,
        creator: creator(&record),
        ignored: ignored(&record),
    };
    event(Source::Alibaba, facts, record)
}

fn ignored(record: &Value) -> Option<Ignored> {
    let by = at(record, &["userIdentity", "type"]);
    if is_there(record, "errorCode") {
        Some(Ignored::Failed)
    } else if at(record, &["eventType"]).as_deref() == Some("AliyunServiceEvent") || by.as_deref() == Some("system") {
        Some(Ignored::Internal)
    } else if at(record, &["eventRW"]).as_deref() == Some("Read") {
        Some(Ignored::ReadOnly)
    } else {
        None
    }
}

fn creator(record: &Value) -> Option<String> {
    let identity = record.get("userIdentity")?;
    match at(identity, &["type"]).as_deref() {
        Some("root-account") => at(identity, &["userName"]).or_else(|| Some("root".into())),
        // `role:session`: the session is the person.
        Some("assumed-role") => {
            let name = at(identity, &["userName"])?;
            Some(name.rsplit(':').next().filter(|session| !session.is_empty()).unwrap_or(&name).to_owned())
        }
        _ => at(identity, &["userName"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_creator_is_the_user_or_the_session() {
        let who = |identity: Value| creator(&json!({ "userIdentity": identity }));
        assert_eq!(who(json!({"type":"ram-user","userName":"alice"})).as_deref(), Some("alice"));
        assert_eq!(who(json!({"type":"assumed-role","userName":"ops:bob"})).as_deref(), Some("bob"));
        assert_eq!(who(json!({"type":"root-account","userName":"root"})).as_deref(), Some("root"));
        assert_eq!(who(json!({"type":"root-account"})).as_deref(), Some("root"));
    }

    #[test]
    fn the_service_is_found_wherever_it_stands() {
        let read = |kind: &str, source: &str, record: Value| {
            let envelope = Envelope { kind: Some(kind.into()), source: Some(source.into()), ..Envelope::default() };
            super::read(&envelope, record).unwrap().service
        };
        assert_eq!(read("ecs:ActionTrail:ApiCall", "acs.ecs", json!({"eventName":"n","serviceName":"Ecs"})), "ecs");
        assert_eq!(read("rds:ActionTrail:ApiCall", "acs.rds", json!({"eventName":"n"})), "rds");
        assert_eq!(read("x", "acs.oss", json!({"eventName":"n"})), "oss");
    }
}
