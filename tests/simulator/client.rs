//! A simulator with one cloud of each kind, and a client that signs, or signs wrongly where a test wants that.

use crate::sign;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::Value;
use std::time::Duration;
use tagmill::{
    sim::{CloudConfig, Faults, Sim, SimConfig, well_known},
    worker::clock,
};

pub struct World {
    pub sim: Sim,
    pub http: reqwest::Client,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    /// The provider's code, wherever its envelope has it.
    pub fn code(&self) -> String {
        let body = self.json();
        [&body["error"]["error_code"], &body["error_code"], &body["Code"]]
            .into_iter()
            .find_map(|code| code.as_str())
            .unwrap_or("none")
            .to_owned()
    }

    /// Status and code in one, for tables.
    pub fn is(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{}", self.text);
    }
}

pub async fn start(change: impl FnOnce(&mut Vec<CloudConfig>)) -> World {
    let mut config = SimConfig::default();
    change(&mut config.clouds);
    let sim = Sim::start(config, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    World { sim, http: reqwest::Client::new() }
}

pub async fn with_faults(name: &str, faults: Faults) -> World {
    start(|clouds| clouds.iter_mut().find(|cloud| cloud.name == name).unwrap().faults = faults).await
}

/// How a Huawei request is made; the default is right in every way.
pub struct Huawei {
    pub access: &'static str,
    pub secret: &'static str,
    pub domain: Option<&'static str>,
    pub security_token: Option<&'static str>,
    pub token: Option<String>,
    pub off_by: i64,
}

impl Default for Huawei {
    fn default() -> Self {
        Self {
            access: well_known::HUAWEI_ACCESS_KEY,
            secret: well_known::HUAWEI_SECRET_KEY,
            domain: Some(well_known::HUAWEI_DOMAIN_ID),
            security_token: None,
            token: None,
            off_by: 0,
        }
    }
}

/// How an Alibaba request is made; the default is right in every way.
pub struct Alibaba {
    pub access: &'static str,
    pub secret: &'static str,
    pub security_token: Option<&'static str>,
    pub nonce: Option<&'static str>,
    pub off_by: i64,
    pub date: Option<&'static str>,
    pub v1: bool,
    pub form: bool,
    pub json: bool,
    pub unsigned: Option<&'static str>,
    pub body_hash: Option<&'static str>,
}

impl Default for Alibaba {
    fn default() -> Self {
        Self {
            access: well_known::ALIBABA_ACCESS_KEY,
            secret: well_known::ALIBABA_SECRET_KEY,
            security_token: None,
            nonce: None,
            off_by: 0,
            date: None,
            v1: false,
            form: false,
            json: true,
            unsigned: None,
            body_hash: None,
        }
    }
}

fn now(off_by: i64) -> Timestamp {
    clock::wall().checked_add(SignedDuration::from_secs(off_by)).unwrap()
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

impl World {
    pub async fn send(
        &self,
        method: Method,
        target: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> reqwest::Result<Reply> {
        let mut request = self.http.request(method, format!("{}{target}", self.sim.url())).body(body);
        for (name, value) in headers.iter().filter(|(name, _)| name != "host") {
            request = request.header(name, value);
        }
        let reply = request.timeout(Duration::from_secs(20)).send().await?;
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        Ok(Reply { status, headers, text: reply.text().await? })
    }

    pub async fn get(&self, target: &str) -> Reply {
        self.send(Method::GET, target, &[], vec![]).await.unwrap()
    }

    pub async fn post(&self, target: &str, body: &Value) -> Reply {
        self.send(Method::POST, target, &[], body.to_string().into_bytes()).await.unwrap()
    }

    pub async fn try_huawei(&self, how: &Huawei, method: Method, target: &str, body: &str) -> reqwest::Result<Reply> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("host".to_owned(), self.sim.addr().to_string()),
        ];
        if let Some(token) = &how.token {
            headers.push(("x-auth-token".to_owned(), token.clone()));
        } else {
            headers.push(("x-sdk-date".to_owned(), now(how.off_by).strftime("%Y%m%dT%H%M%SZ").to_string()));
            headers.extend(how.domain.map(|domain| ("x-domain-id".to_owned(), domain.to_owned())));
            headers.extend(how.security_token.map(|token| ("x-security-token".to_owned(), token.to_owned())));
            let parts = (method.as_str(), &*format!("{path}/"), query, body.as_bytes());
            let value = sign::headers("SDK-HMAC-SHA256", "Access", (how.access, how.secret), parts, &headers);
            headers.push(("authorization".to_owned(), value));
        }
        self.send(method, target, &headers, body.as_bytes().to_vec()).await
    }

    pub async fn huawei(&self, how: &Huawei, method: Method, target: &str, body: &str) -> Reply {
        self.try_huawei(how, method, target, body).await.unwrap()
    }

    pub async fn try_create(&self, body: &Value) -> reqwest::Result<Reply> {
        let target = "/v1.0/resource-tags/batch-create";
        self.try_huawei(&Huawei::default(), Method::POST, target, &body.to_string()).await
    }

    /// batch-create with everything right.
    pub async fn create(&self, body: &Value) -> Reply {
        self.try_create(body).await.unwrap()
    }

    /// batch-create of one tag on disks, in no project.
    pub async fn disks(&self, ids: &[&str]) -> Reply {
        self.create(&disks(ids)).await
    }

    pub async fn try_alibaba(
        &self,
        how: &Alibaba,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> reqwest::Result<Reply> {
        let nonce = how.nonce.map_or_else(clock::nonce, str::to_owned);
        let date = how.date.map_or_else(|| now(how.off_by).strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), str::to_owned);
        let mut work = owned(parameters);
        if how.v1 {
            let mut common = owned(&[
                ("Action", action),
                ("Version", version),
                ("AccessKeyId", how.access),
                ("SignatureMethod", "HMAC-SHA1"),
                ("SignatureVersion", "1.0"),
                ("SignatureNonce", &nonce),
                ("Timestamp", &date),
            ]);
            if how.json {
                common.extend(owned(&[("Format", "JSON")]));
            }
            common.extend(how.security_token.map(|token| ("SecurityToken".to_owned(), token.to_owned())));
            let all: Vec<_> = common.iter().chain(&work).cloned().collect();
            common.push(("Signature".to_owned(), sign::v1("POST", how.secret, &all)));
            let (body, headers) = if how.form {
                (sign::query(&work), owned(&[("content-type", "application/x-www-form-urlencoded")]))
            } else {
                common.append(&mut work);
                (String::new(), vec![])
            };
            return self.send(Method::POST, &format!("/?{}", sign::query(&common)), &headers, body.into_bytes()).await;
        }
        let (query, body) =
            if how.form { (String::new(), sign::query(&work)) } else { (sign::query(&work), String::new()) };
        let mut headers = owned(&[
            ("host", &self.sim.addr().to_string()),
            ("x-acs-action", action),
            ("x-acs-version", version),
            ("x-acs-date", &date),
            ("x-acs-signature-nonce", &nonce),
            ("x-acs-content-sha256", how.body_hash.unwrap_or(&sign::sha256(body.as_bytes()))),
        ]);
        if how.form {
            headers.extend(owned(&[("content-type", "application/x-www-form-urlencoded")]));
        }
        headers.extend(how.security_token.map(|token| ("x-acs-security-token".to_owned(), token.to_owned())));
        let signed: Vec<_> = headers.iter().filter(|(name, _)| Some(name.as_str()) != how.unsigned).cloned().collect();
        let parts = ("POST", "/", &*query, body.as_bytes());
        let value = sign::headers("ACS3-HMAC-SHA256", "Credential", (how.access, how.secret), parts, &signed);
        headers.push(("authorization".to_owned(), value));
        self.send(Method::POST, &format!("/?{query}"), &headers, body.into_bytes()).await
    }

    pub async fn alibaba(&self, how: &Alibaba, version: &str, action: &str, parameters: &[(&str, &str)]) -> Reply {
        self.try_alibaba(how, version, action, parameters).await.unwrap()
    }

    /// ECS TagResources of one tag on instances, everything right.
    pub async fn instances(&self, ids: &[&str]) -> Reply {
        let parameters = instances(ids);
        self.alibaba(&Alibaba::default(), ECS, "TagResources", &borrowed(&parameters)).await
    }
}

pub const RDS: &str = "2014-08-15";
pub const ECS: &str = "2014-05-26";
pub const TAG: &str = "2018-08-28";

pub fn disks(ids: &[&str]) -> Value {
    let resources: Vec<Value> =
        ids.iter().map(|id| serde_json::json!({"resource_id": id, "resource_type": "disk"})).collect();
    serde_json::json!({"resources": resources, "tags": [{"key": "env", "value": "dev"}]})
}

pub fn instances(ids: &[&str]) -> Vec<(String, String)> {
    let mut parameters = owned(&[
        ("RegionId", "cn-hangzhou"),
        ("ResourceType", "instance"),
        ("Tag.1.Key", "env"),
        ("Tag.1.Value", "dev"),
    ]);
    parameters.extend(ids.iter().enumerate().map(|(n, id)| (format!("ResourceId.{}", n + 1), (*id).to_owned())));
    parameters
}

pub fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
}

pub fn cloud<'c>(clouds: &'c mut [CloudConfig], name: &str) -> &'c mut CloudConfig {
    clouds.iter_mut().find(|cloud| cloud.name == name).unwrap()
}
