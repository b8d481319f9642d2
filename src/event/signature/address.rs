//! Where certificates of EventBridge are, and where they are not.

/// Regions with EventBridge, from the endpoints of the vendor's own client (2026-08).
pub const REGIONS: &[&str] = &[
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-southeast-1",
    "ap-southeast-3",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "cn-beijing",
    "cn-beijing-finance-1",
    "cn-chengdu",
    "cn-guangzhou",
    "cn-hangzhou",
    "cn-heyuan",
    "cn-hongkong",
    "cn-huhehaote",
    "cn-qingdao",
    "cn-shanghai",
    "cn-shanghai-finance-1",
    "cn-shenzhen",
    "cn-shenzhen-finance-1",
    "cn-wulanchabu",
    "cn-zhangjiakou",
    "eu-central-1",
    "eu-west-1",
    "us-east-1",
    "us-west-1",
];

/// What the document gives as the form of the host: `<region>-eventbridge.oss-accelerate.aliyuncs.com`.
const HOST: &str = "-eventbridge.oss-accelerate.aliyuncs.com";

/// Whether a certificate at this address is one of EventBridge in one of the regions.
///
/// The host is a bucket of OSS, and buckets belong to whoever names them first: anybody may own `anything-eventbridge`.
/// So the form alone proves nothing, and the region has to be one that is known.
pub(super) fn is_of_eventbridge(url: &str, regions: &[String]) -> bool {
    let Some((host, path)) = url.strip_prefix("https://").and_then(|rest| rest.split_once('/')) else { return false };
    let Some(region) = host.strip_suffix(HOST) else { return false };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let is_plain = (1..=256).contains(&path.len()) && path.chars().all(plain) && !path.contains("..");
    is_plain && regions.iter().any(|allowed| allowed == region)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ours(url: &str) -> bool {
        is_of_eventbridge(url, &["cn-hangzhou".to_owned()])
    }

    #[test]
    fn the_address_of_a_region_that_is_allowed_is_taken() {
        assert!(is_ours(
            "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/x509_public_certificate_2021012501.pem"
        ));
        assert!(is_ours("https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/certificates/2026.pem"));
    }

    #[test]
    fn whatever_only_looks_like_it_is_not() {
        for url in [
            "",
            "https://",
            "http://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/c.pem",
            "HTTPS://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/c.pem",
            "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com",
            "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/",
            // A bucket that anybody may have named.
            "https://cn-hangzhou-1-eventbridge.oss-accelerate.aliyuncs.com/c.pem",
            "https://evil-eventbridge.oss-accelerate.aliyuncs.com/c.pem",
            "https://-eventbridge.oss-accelerate.aliyuncs.com/c.pem",
            // A region, and not one of those allowed.
            "https://cn-beijing-eventbridge.oss-accelerate.aliyuncs.com/c.pem",
            "https://cn-hangzhou-eventbridge.oss-cn-hangzhou.aliyuncs.com/c.pem",
            "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com.evil.example/c.pem",
            "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com@evil.example/c.pem",
            "https://evil.example@cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/c.pem",
            "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com:8443/c.pem",
            "https://evil.example/cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/c.pem",
            "https://evil.example/?cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/c.pem",
            "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/c.pem?x=1",
            "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/c.pem#x",
            "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/a/../c.pem",
            "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/c%2fpem",
            "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/c.pem\\",
        ] {
            assert!(!is_ours(url), "{url}");
        }
    }
}
