//! The ARN: `arn:{partition}:{service}:{region}:{account}:{resource}`; region and account may be empty.

/// The parts of an ARN that is well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arn<'a> {
    pub(super) partition: &'a str,
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) account: &'a str,
    /// All that follows the account, slashes and colons included.
    pub(super) resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Takes an ARN apart, or says what is wrong with it.
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("it holds a space or a control character");
        }
        let mut parts = text.splitn(6, ':');
        let mut part = || parts.next().unwrap_or_default();
        let (arn, partition, service, region, account, resource) = (part(), part(), part(), part(), part(), part());
        if arn != "arn" || !partition.starts_with("aws") {
            return Err("it does not begin with arn:aws");
        }
        if service.is_empty() {
            return Err("its service is empty");
        }
        if !account.bytes().all(|b| b.is_ascii_digit()) && account != "aws" {
            return Err("its account is not a number");
        }
        if resource.is_empty() {
            return Err("it names no resource");
        }
        Ok(Self { partition, service, region, account, resource })
    }

    /// A CloudFormation stack or stack set: tagging one through the Tagging API is an update of the stack.
    pub(super) fn is_stack(&self) -> bool {
        let kinds = ["stack/", "stackset/"];
        self.service == "cloudformation" && kinds.iter().any(|kind| self.resource.starts_with(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_comes_apart() {
        let arn = Arn::parse("arn:aws-cn:backup:cn-north-1:123456789012:backup-vault:a/b").expect("an ARN");
        assert_eq!((arn.partition, arn.service, arn.region), ("aws-cn", "backup", "cn-north-1"));
        assert_eq!((arn.account, arn.resource), ("123456789012", "backup-vault:a/b"));
        let bucket = Arn::parse("arn:aws:s3:::examplebucket").expect("an ARN");
        assert_eq!((bucket.region, bucket.account, bucket.resource), ("", "", "examplebucket"));
    }

    #[test]
    fn what_is_not_an_arn_is_refused() {
        for text in [
            "",
            "i-1",
            "arn:acs:ecs:cn:1:instance/i",
            "arn:aws:ec2:us-east-1:1",
            "arn:aws:ec2:us-east-1:1:",
            "arn:aws::us-east-1:1:instance/i",
            "arn:aws:ec2:us-east-1:me:instance/i",
            "arn:aws:ec2:us-east-1:1:instance/ i",
        ] {
            assert!(Arn::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn stacks_are_known_by_their_type() {
        let is_stack = |text| Arn::parse(text).is_ok_and(|arn| arn.is_stack());
        assert!(is_stack("arn:aws:cloudformation:us-east-1:1:stack/name/id"));
        assert!(is_stack("arn:aws:cloudformation:us-east-1:1:stackset/name:id"));
        assert!(!is_stack("arn:aws:cloudformation:us-east-1:1:type/resource/x"));
        assert!(!is_stack("arn:aws:opsworks:us-east-1:1:stack/id"));
    }
}
