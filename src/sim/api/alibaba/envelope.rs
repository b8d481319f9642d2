//! Answers of the Alibaba Cloud gateway, as JSON or as XML.

use super::{
    super::{Refusal, Target},
    Parameters,
};
use crate::sim::{reply::Reply, request::Request};
use quick_xml::escape::escape;
use serde_json::json;

/// The form an answer was asked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Xml,
}

impl Format {
    /// V1 answers XML unless the parameter Format says JSON; V3 answers JSON unless Accept says XML.
    pub(super) fn asked(request: &Request, parameters: &Parameters) -> Self {
        let json = match (request.header("x-acs-version"), parameters.get("Format")) {
            (Some(_), _) => !request.header("accept").is_some_and(|accept| accept.contains("xml")),
            (None, format) => format.is_some_and(|format| format.eq_ignore_ascii_case("json")),
        };
        if json { Self::Json } else { Self::Xml }
    }
}

/// `224DB9F7-3100-4899-AB9C-C938BCCB43E7`
fn spelled(id: &str) -> String {
    let id = id.to_uppercase();
    let part = |from: usize, to: usize| id.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

fn xml(status: u16, body: &str) -> Reply {
    Reply::new(status, "text/xml;charset=utf-8", format!("<?xml version='1.0' encoding='UTF-8'?>{body}"))
}

pub(super) fn refusal(format: Format, why: &Refusal, id: &str) -> Reply {
    let id = spelled(id);
    let host = "sim.aliyuncs.com";
    let recommend = format!("https://api.aliyun.com/troubleshoot?q={}", why.code);
    let reply = match format {
        Format::Json => Reply::json(
            why.status,
            &json!({"RequestId": id, "HostId": host, "Code": why.code, "Message": why.message, "Recommend": recommend}),
        ),
        Format::Xml => xml(
            why.status,
            &format!(
                "<Error><RequestId>{id}</RequestId><HostId>{host}</HostId><Code>{}</Code><Message>{}</Message><Recommend>{}</Recommend></Error>",
                escape(why.code.as_ref()),
                escape(why.message.as_str()),
                escape(recommend.as_str())
            ),
        ),
    };
    reply.with("x-acs-request-id", id)
}

/// `failed` is what the Tag service adds. With nothing failed it is an empty object: of the forms a client must be able
/// to read (no field, an empty object, an empty list) the one that is most often forgotten.
pub(super) fn done(format: Format, action: &str, failed: Option<&[(&Target, Refusal)]>, id: &str) -> Reply {
    let id = spelled(id);
    let reply = match format {
        Format::Json => {
            let mut body = json!({"RequestId": id});
            if let (Some(failed), Some(fields)) = (failed, body.as_object_mut()) {
                let list: Vec<_> = failed
                    .iter()
                    .map(|(target, why)| {
                        json!({"ResourceARN": target.label, "Result": {"Code": why.code, "Message": why.message}})
                    })
                    .collect();
                let wrapper = if list.is_empty() { json!({}) } else { json!({ "FailedResource": list }) };
                fields.insert("FailedResources".into(), wrapper);
            }
            Reply::json(200, &body)
        }
        Format::Xml => {
            let item = |(target, why): &(&Target, Refusal)| {
                let (arn, code) = (escape(target.label.as_str()), escape(why.code.as_ref()));
                let result =
                    format!("<Result><Code>{code}</Code><Message>{}</Message></Result>", escape(why.message.as_str()));
                format!("<FailedResource><ResourceARN>{arn}</ResourceARN>{result}</FailedResource>")
            };
            let list: Vec<String> = failed.unwrap_or_default().iter().map(item).collect();
            let list = list.concat();
            let wrapper = failed.map(|_| format!("<FailedResources>{list}</FailedResources>")).unwrap_or_default();
            xml(200, &format!("<{action}Response><RequestId>{id}</RequestId>{wrapper}</{action}Response>"))
        }
    };
    reply.with("x-acs-request-id", id)
}
