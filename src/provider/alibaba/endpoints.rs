//! Host names by product and region, from the endpoint maps of the vendor's SDKs.

/// Regions whose host is not `{product}.{region}.aliyuncs.com`: (product, region, host). The maps' internal and test
/// regions are left out; a lane in one sets `endpoint`.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    // SDK rds-20140815: the older regions share one host.
    ("rds", "cn-qingdao", "rds.aliyuncs.com"),
    ("rds", "cn-beijing", "rds.aliyuncs.com"),
    ("rds", "cn-hangzhou", "rds.aliyuncs.com"),
    ("rds", "cn-shanghai", "rds.aliyuncs.com"),
    ("rds", "cn-shenzhen", "rds.aliyuncs.com"),
    ("rds", "cn-heyuan", "rds.aliyuncs.com"),
    ("rds", "cn-hongkong", "rds.aliyuncs.com"),
    ("rds", "ap-southeast-1", "rds.aliyuncs.com"),
    ("rds", "us-west-1", "rds.aliyuncs.com"),
    ("rds", "us-east-1", "rds.aliyuncs.com"),
    ("rds", "cn-shanghai-finance-1", "rds.aliyuncs.com"),
    ("rds", "cn-shenzhen-finance-1", "rds.aliyuncs.com"),
    ("rds", "cn-beijing-finance-1", "rds.aliyuncs.com"),
    ("rds", "cn-beijing-gov-1", "rds.aliyuncs.com"),
    ("rds", "cn-north-2-gov-1", "rds.aliyuncs.com"),
    ("rds", "cn-wuhan", "rds.aliyuncs.com"),
    ("rds", "cn-hangzhou-finance", "rds-vpc.cn-hangzhou-finance.aliyuncs.com"),
    // SDK ecs-20140526: a hyphen, not a dot.
    ("ecs", "cn-hangzhou", "ecs-cn-hangzhou.aliyuncs.com"),
    ("ecs", "cn-shanghai-finance-1", "ecs-cn-hangzhou.aliyuncs.com"),
    ("ecs", "cn-shenzhen-finance-1", "ecs-cn-hangzhou.aliyuncs.com"),
    ("ecs", "cn-beijing-finance-1", "ecs.aliyuncs.com"),
    ("ecs", "cn-hangzhou-finance", "ecs.aliyuncs.com"),
    ("ecs", "cn-beijing-gov-1", "ecs.aliyuncs.com"),
    ("ecs", "cn-north-2-gov-1", "ecs.aliyuncs.com"),
    ("ecs", "cn-wuhan", "ecs.aliyuncs.com"),
    // SDK tag-20180828.
    ("tag", "us-west-1", "tag.us-east-1.aliyuncs.com"),
    ("tag", "cn-hangzhou-finance", "tag.cn-hangzhou.aliyuncs.com"),
    ("tag", "cn-shanghai-finance-1", "tag.aliyuncs.com"),
    ("tag", "cn-beijing-gov-1", "tag.aliyuncs.com"),
    ("tag", "cn-wuhan", "tag.aliyuncs.com"),
];

/// The public host of a product in a region.
pub(super) fn host(product: &str, region: &str) -> String {
    EXCEPTIONS
        .iter()
        .find(|(name, place, _)| *name == product && *place == region)
        .map_or_else(|| format!("{product}.{region}.aliyuncs.com"), |(_, _, host)| (*host).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_have_their_host_or_the_pattern() {
        assert_eq!(host("ecs", "cn-hangzhou"), "ecs-cn-hangzhou.aliyuncs.com");
        assert_eq!(host("ecs", "eu-central-1"), "ecs.eu-central-1.aliyuncs.com");
        assert_eq!(host("rds", "cn-hangzhou"), "rds.aliyuncs.com");
        assert_eq!(host("rds", "eu-central-1"), "rds.eu-central-1.aliyuncs.com");
        assert_eq!(host("tag", "us-west-1"), "tag.us-east-1.aliyuncs.com");
    }

    #[test]
    fn no_region_is_listed_twice() {
        let names: std::collections::BTreeSet<_> = EXCEPTIONS.iter().map(|row| (row.0, row.1)).collect();
        assert_eq!(names.len(), EXCEPTIONS.len());
    }
}
