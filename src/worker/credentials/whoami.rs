//! Whose a credential is: what the cloud itself says when it is asked with it.

use super::{Held, Keepers, Wanted, alibaba, around::Around, aws, huawei, share::Shared};
use crate::config::{Cloud, LaneConfig};
use jiff::Timestamp;
use std::{collections::HashMap, sync::Arc};

/// Who a lane is to its cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account: its number, or Huawei Cloud's domain id.
    pub account: String,
    /// The user or role, in the cloud's own spelling, where the cloud tells it.
    pub principal: Option<String>,
    /// Where the credential was found. No secret.
    pub place: String,
    /// When it ends, where that is known.
    pub expires_at: Option<Timestamp>,
}

impl Keepers {
    /// The numbers of these lanes, those that are the same somebody together.
    pub fn alike(&self, lanes: &[LaneConfig]) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut known: HashMap<*const Shared, usize> = HashMap::new();
        for (number, lane) in lanes.iter().enumerate() {
            let group = *known.entry(Arc::as_ptr(&self.of(lane).shared)).or_insert(groups.len());
            match groups.get_mut(group) {
                Some(group) => group.push(number),
                None => groups.push(vec![number]),
            }
        }
        groups
    }

    /// Who a lane is. The error is for people: why there is no credential, or why the cloud does not take it.
    pub async fn whoami(&self, lane: &LaneConfig) -> Result<Identity, String> {
        self.of(lane).shared.identity().await
    }
}

pub(super) async fn ask(held: &Held, wanted: &Wanted, around: &Around) -> Result<Identity, String> {
    let credential = &held.credential;
    let answer = match wanted.cloud {
        Cloud::Alibaba => alibaba::caller(credential, wanted, around).await.map(|(account, arn)| (account, Some(arn))),
        Cloud::Aws => aws::caller(credential, wanted, around).await.map(|(account, arn)| (account, Some(arn))),
        Cloud::Huawei => huawei::caller(credential, wanted, around).await,
    };
    let (account, principal) = answer.map_err(|why| {
        format!("{} does not say whose the credentials from {} are ({why})", wanted.cloud.name(), held.place)
    })?;
    Ok(Identity { account, principal, place: held.place.clone(), expires_at: held.expires_at })
}
