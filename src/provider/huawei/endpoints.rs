//! Where TMS and IAM live.

use crate::provider::{
    Settings,
    endpoint::{Endpoint, check_region},
};

/// TMS is a global service: one host per site, not per region. Source: region table of the vendor's TMS SDK 3.1.219.
const TMS: [(&str, &str); 4] = [
    ("ap-southeast-1", "tms.ap-southeast-1.myhuaweicloud.com"),
    ("eu-west-101", "tms.eu-west-101.myhuaweicloud.eu"),
    ("ru-moscow-1", "tms.ru-moscow-1.myhuaweicloud.com"),
    ("my-kualalumpur-1", "tms.my-kualalumpur-1.myhuaweicloud.com"),
];

/// The Chinese mainland site, listed there as cn-north-4.
const MAINLAND: &str = "tms.myhuaweicloud.com";

/// The international site. The table names ap-southeast-1 only; that its host serves the other regions of the site
/// is inferred from the service being global.
const INTERNATIONAL: (&str, [&str; 6]) =
    ("tms.ap-southeast-1.myhuaweicloud.com", ["ap-", "la-", "na-", "sa-", "af-", "tr-"]);

/// The endpoint of a lane: its own, or the one of its region's site.
pub(super) fn tms(settings: &Settings) -> Result<Endpoint, String> {
    if let Some(endpoint) = &settings.endpoint {
        return Endpoint::parse(endpoint);
    }
    let region = settings.region.as_str();
    check_region(region)?;
    if let Some((_, host)) = TMS.iter().find(|(name, _)| *name == region) {
        return Ok(Endpoint::of_host(host));
    }
    if region.starts_with("cn-") {
        return Ok(Endpoint::of_host(MAINLAND));
    }
    let (host, prefixes) = INTERNATIONAL;
    if prefixes.iter().any(|prefix| region.starts_with(prefix)) {
        return Ok(Endpoint::of_host(host));
    }
    Err(format!("region: no TMS endpoint is known for {region}; set endpoint"))
}

/// The IAM endpoint that issues tokens: the region's, or the global one where no region is given.
pub(super) fn iam(region: &str, endpoint: Option<&str>) -> Result<Endpoint, String> {
    if let Some(endpoint) = endpoint {
        return Endpoint::parse(endpoint);
    }
    if region.is_empty() {
        return Ok(Endpoint::of_host("iam.myhuaweicloud.com"));
    }
    check_region(region)?;
    // The European site has a domain of its own, as its TMS has.
    let site = if region == "eu-west-101" { "eu" } else { "com" };
    Ok(Endpoint::of_host(&format!("iam.{region}.myhuaweicloud.{site}")))
}

/// The endpoint of the Security Token Service. It has no global host: without a region it is the first one's.
pub(super) fn sts(region: &str, endpoint: Option<&str>) -> Result<Endpoint, String> {
    if let Some(endpoint) = endpoint {
        return Endpoint::parse(endpoint);
    }
    let region = if region.is_empty() { "cn-north-4" } else { region };
    check_region(region)?;
    let site = if region == "eu-west-101" { "eu" } else { "com" };
    Ok(Endpoint::of_host(&format!("sts.{region}.myhuaweicloud.{site}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(region: &str) -> Result<String, String> {
        tms(&Settings { region: region.into(), ..Settings::default() }).map(|endpoint| endpoint.host)
    }

    #[test]
    fn a_region_leads_to_its_site() {
        assert_eq!(host("cn-north-4").as_deref(), Ok("tms.myhuaweicloud.com"));
        assert_eq!(host("cn-south-1").as_deref(), Ok("tms.myhuaweicloud.com"));
        assert_eq!(host("la-south-2").as_deref(), Ok("tms.ap-southeast-1.myhuaweicloud.com"));
        assert_eq!(host("eu-west-101").as_deref(), Ok("tms.eu-west-101.myhuaweicloud.eu"));
    }

    #[test]
    fn an_unknown_region_asks_for_an_endpoint() {
        assert!(host("mars-1").is_err_and(|text| text.starts_with("region: ") && text.contains("endpoint")));
        assert!(host("").is_err_and(|text| text.starts_with("region: ")));
        let own = Settings { endpoint: Some("http://127.0.0.1:9001/".into()), ..Settings::default() };
        assert_eq!(tms(&own).map(|endpoint| endpoint.base).as_deref(), Ok("http://127.0.0.1:9001"));
    }
}
