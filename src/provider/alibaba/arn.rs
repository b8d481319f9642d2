//! The ARN of the Tag service: `arn:acs:{service}:{region}:{account}:{type}/{id}`, region and account may be `*`.

/// The parts of an ARN that is well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arn<'a> {
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) account: &'a str,
    /// `type/id`, the id possibly with more slashes and colons.
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
        let (arn, acs, service, region, account, resource) = (part(), part(), part(), part(), part(), part());
        if (arn, acs) != ("arn", "acs") {
            return Err("it does not begin with arn:acs:");
        }
        if service.is_empty() {
            return Err("its service is empty");
        }
        if region.is_empty() || account.is_empty() {
            return Err("its region or account is empty; write * for the lane's own");
        }
        match resource.split_once('/') {
            Some((kind, id)) if !kind.is_empty() && !id.is_empty() => Ok(Self { service, region, account, resource }),
            _ => Err("it does not end in type/id"),
        }
    }

    /// Whether two ARNs can mean the same resource: a `*` stands for anything.
    pub(super) fn meets(&self, other: &Arn<'_>) -> bool {
        let same = |a: &str, b: &str| a == b || a == "*" || b == "*";
        self.service == other.service
            && self.resource == other.resource
            && same(self.region, other.region)
            && same(self.account, other.account)
    }
}

/// The ARN with `*` replaced by the lane's region; text that is no ARN stays as it is.
pub(super) fn resolved(text: &str, region: &str) -> String {
    match Arn::parse(text) {
        Ok(arn) if arn.region == "*" => {
            format!("arn:acs:{}:{region}:{}:{}", arn.service, arn.account, arn.resource)
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_comes_apart() {
        let arn = Arn::parse("arn:acs:oss:*:123:bucket/a/b:c").expect("an ARN");
        assert_eq!((arn.service, arn.region, arn.account, arn.resource), ("oss", "*", "123", "bucket/a/b:c"));
    }

    #[test]
    fn what_is_not_an_arn_is_refused() {
        for text in [
            "",
            "i-1",
            "arn:aws:ec2:r:a:instance/i",
            "arn:acs:ecs:*:*",
            "arn:acs:ecs:*:*:i-1",
            "arn:acs:ecs:*:*:/i",
            "arn:acs:ecs:*:*:instance/",
            "arn:acs::*:*:instance/i",
            "arn:acs:ecs::*:instance/i",
            "arn:acs:ecs:*:*:a/ b",
        ] {
            assert!(Arn::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_star_region_becomes_the_lanes_region() {
        assert_eq!(resolved("arn:acs:ecs:*:*:instance/i", "cn-x"), "arn:acs:ecs:cn-x:*:instance/i");
        assert_eq!(resolved("arn:acs:ecs:cn-y:7:instance/i", "cn-x"), "arn:acs:ecs:cn-y:7:instance/i");
    }

    #[test]
    fn a_star_meets_anything_and_nothing_else_differs() {
        let one = Arn::parse("arn:acs:ecs:*:*:instance/i").expect("an ARN");
        assert!(one.meets(&Arn::parse("arn:acs:ecs:cn-x:7:instance/i").expect("an ARN")));
        assert!(!one.meets(&Arn::parse("arn:acs:ecs:cn-x:7:instance/j").expect("an ARN")));
        assert!(!one.meets(&Arn::parse("arn:acs:rds:cn-x:7:instance/i").expect("an ARN")));
        let mine = Arn::parse("arn:acs:ecs:cn-x:7:instance/i").expect("an ARN");
        assert!(!mine.meets(&Arn::parse("arn:acs:ecs:cn-x:8:instance/i").expect("an ARN")));
        assert!(!mine.meets(&Arn::parse("arn:acs:ecs:cn-y:7:instance/i").expect("an ARN")));
    }
}
