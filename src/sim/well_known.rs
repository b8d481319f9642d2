//! The clouds that exist when nobody configured any: one account per provider, with keys that everybody may know.

use super::config::{Api, CloudConfig, SimConfig, User};
use secrecy::SecretString;

/// The Huawei account's access key.
pub const HUAWEI_ACCESS_KEY: &str = "SIMHUAWEIACCESSKEY00";
/// The Huawei account's secret key: it opens nothing but a simulator.
pub const HUAWEI_SECRET_KEY: &str = "sim-huawei-secret-key";
/// The Huawei account's id.
pub const HUAWEI_DOMAIN_ID: &str = "51300000000000000000000000000001";
/// The Huawei account's name, for tokens.
pub const HUAWEI_DOMAIN: &str = "sim-domain";
/// The Huawei user, for tokens.
pub const HUAWEI_USER: &str = "sim-user";
/// The Huawei user's password.
pub const HUAWEI_PASSWORD: &str = "sim-password";
/// The Alibaba account's access key; it serves RDS, ECS and Tag.
pub const ALIBABA_ACCESS_KEY: &str = "SIMALIBABAACCESSKEY0";
/// The Alibaba account's secret key: it opens nothing but a simulator.
pub const ALIBABA_SECRET_KEY: &str = "sim-alibaba-secret-key";

/// The AWS account's access key; it serves all four APIs.
pub const AWS_ACCESS_KEY: &str = "SIMAWSACCESSKEY00000";
/// The AWS account's secret key: it opens nothing but a simulator.
pub const AWS_SECRET_KEY: &str = "sim-aws-secret-key";
/// The AWS account.
pub const AWS_ACCOUNT_ID: &str = "123456789012";

impl Default for SimConfig {
    fn default() -> Self {
        let mut huawei = CloudConfig::new("huawei-tms", Api::HuaweiTms, HUAWEI_ACCESS_KEY, HUAWEI_SECRET_KEY);
        huawei.domain_id = Some(HUAWEI_DOMAIN_ID.to_owned());
        huawei.users = vec![User {
            domain: HUAWEI_DOMAIN.to_owned(),
            name: HUAWEI_USER.to_owned(),
            password: SecretString::from(HUAWEI_PASSWORD),
        }];
        let alibaba = [Api::AlibabaRds, Api::AlibabaEcs, Api::AlibabaTag]
            .map(|api| CloudConfig::new(api.name(), api, ALIBABA_ACCESS_KEY, ALIBABA_SECRET_KEY));
        let aws = [Api::AwsTagging, Api::AwsS3, Api::AwsBackup, Api::AwsMl].map(|api| {
            let mut cloud = CloudConfig::new(api.name(), api, AWS_ACCESS_KEY, AWS_SECRET_KEY);
            cloud.account_id = Some(AWS_ACCOUNT_ID.to_owned());
            cloud
        });
        Self { seed: 0, clouds: std::iter::once(huawei).chain(alibaba).chain(aws).collect() }
    }
}
