//! The creations that rules need no ids for: where the id stands in the record, and how each API names the resource.

use super::Source;

/// One kind of resource that one event creates.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The cloud.
    pub source: Source,
    /// The service, in lower case.
    pub service: &'static str,
    /// The event's name.
    pub event: &'static str,
    /// What is created, in words.
    pub kind: &'static str,
    /// Where the ids stand in the record (JMESPath).
    pub ids: &'static str,
    /// How the APIs that can tag it name it, the best one first.
    pub forms: &'static [Form],
}

/// How an API names a resource.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The provider.
    pub provider: &'static str,
    /// The type, where the API wants one.
    pub kind: Option<&'static str>,
    /// The id: text with `{id}`, `{account}`, `{region}` and `{partition}`.
    pub id: &'static str,
    /// Whether it lives in a project.
    pub project: bool,
}

const fn arn(id: &'static str) -> Form {
    Form { provider: "aws-tagging", kind: None, id, project: false }
}

const fn acs(id: &'static str) -> Form {
    Form { provider: "alibaba-tag", kind: None, id, project: false }
}

const fn typed(provider: &'static str, kind: &'static str) -> Form {
    Form { provider, kind: Some(kind), id: "{id}", project: false }
}

const fn tms(kind: &'static str) -> Form {
    Form { provider: "huawei-tms", kind: Some(kind), id: "{id}", project: true }
}

const fn row(
    source: Source,
    service: &'static str,
    event: &'static str,
    kind: &'static str,
    ids: &'static str,
    forms: &'static [Form],
) -> Known {
    Known { source, service, event, kind, ids, forms }
}

use Source::{Alibaba, Aws, Huawei};

const ECS: &str = "referencedResources.\"ACS::ECS::Instance\"[]";
const DISK: &str = "referencedResources.\"ACS::ECS::Disk\"[]";
const ECS_FORMS: &[Form] = &[typed("alibaba-ecs", "instance"), acs("arn:acs:ecs:{region}:{account}:instance/{id}")];
const DISK_FORMS: &[Form] = &[typed("alibaba-ecs", "disk"), acs("arn:acs:ecs:{region}:{account}:disk/{id}")];
const AS_IT_IS: &[Form] = &[arn("{id}")];
/// A trace of a creation names the resource, or its answer does: several servers of one order stand there only.
const SERVERS: &str = "[resource_id, response.serverIds, response.server.id][]";

/// Every row. Sources: field names of CloudTrail as the event pages and Cloud Custodian's table have them; ARNs of
/// "Actions, resources, and condition keys" of each AWS service; `referencedResources` of "Management event structure"
/// (ActionTrail); trace names of "Key operations supported by CTS" of each Huawei Cloud service, types of the TMS page
/// "Creating Tags in Batches" of 2025-09-08.
///
/// Snapshots and images of EC2 are not here: AWS documents their ARNs without the account, and only a real account can
/// prove which form the Tagging API takes.
pub const TABLE: &[Known] = &[
    row(
        Aws,
        "ec2",
        "RunInstances",
        "instance",
        "responseElements.instancesSet.items[].instanceId",
        &[arn("arn:{partition}:ec2:{region}:{account}:instance/{id}")],
    ),
    row(
        Aws,
        "ec2",
        "CreateVolume",
        "volume",
        "responseElements.volumeId",
        &[arn("arn:{partition}:ec2:{region}:{account}:volume/{id}")],
    ),
    row(
        Aws,
        "ec2",
        "CreateVpc",
        "vpc",
        "responseElements.vpc.vpcId",
        &[arn("arn:{partition}:ec2:{region}:{account}:vpc/{id}")],
    ),
    row(
        Aws,
        "ec2",
        "CreateSubnet",
        "subnet",
        "responseElements.subnet.subnetId",
        &[arn("arn:{partition}:ec2:{region}:{account}:subnet/{id}")],
    ),
    row(
        Aws,
        "ec2",
        "CreateSecurityGroup",
        "security group",
        "responseElements.groupId",
        &[arn("arn:{partition}:ec2:{region}:{account}:security-group/{id}")],
    ),
    row(
        Aws,
        "ec2",
        "AllocateAddress",
        "elastic IP",
        "responseElements.allocationId",
        &[arn("arn:{partition}:ec2:{region}:{account}:elastic-ip/{id}")],
    ),
    row(
        Aws,
        "ec2",
        "CreateNetworkInterface",
        "network interface",
        "responseElements.networkInterface.networkInterfaceId",
        &[arn("arn:{partition}:ec2:{region}:{account}:network-interface/{id}")],
    ),
    row(
        Aws,
        "ec2",
        "CreateNatGateway",
        "NAT gateway",
        "responseElements.CreateNatGatewayResponse.natGateway.natGatewayId",
        &[arn("arn:{partition}:ec2:{region}:{account}:natgateway/{id}")],
    ),
    row(
        Aws,
        "s3",
        "CreateBucket",
        "bucket",
        "requestParameters.bucketName",
        &[Form { provider: "aws-s3", kind: None, id: "{id}", project: false }, arn("arn:{partition}:s3:::{id}")],
    ),
    row(Aws, "rds", "CreateDBInstance", "database instance", "responseElements.dBInstanceArn", AS_IT_IS),
    row(Aws, "rds", "CreateDBCluster", "database cluster", "responseElements.dBClusterArn", AS_IT_IS),
    row(Aws, "lambda", "CreateFunction20150331", "function", "responseElements.functionArn", AS_IT_IS),
    row(
        Aws,
        "backup",
        "CreateBackupVault",
        "backup vault",
        "responseElements.backupVaultArn",
        &[Form { provider: "aws-backup", kind: None, id: "{id}", project: false }, arn("{id}")],
    ),
    row(Aws, "dynamodb", "CreateTable", "table", "responseElements.tableDescription.tableArn", AS_IT_IS),
    row(Aws, "sns", "CreateTopic", "topic", "responseElements.topicArn", AS_IT_IS),
    row(Alibaba, "ecs", "RunInstances", "instance", ECS, ECS_FORMS),
    row(Alibaba, "ecs", "RunInstances", "disk", DISK, DISK_FORMS),
    row(Alibaba, "ecs", "CreateInstance", "instance", ECS, ECS_FORMS),
    row(Alibaba, "ecs", "CreateInstance", "disk", DISK, DISK_FORMS),
    // A purchase in the console.
    row(Alibaba, "ecs", "Create", "instance", ECS, ECS_FORMS),
    row(Alibaba, "ecs", "Create", "disk", DISK, DISK_FORMS),
    row(Alibaba, "ecs", "CreateDisk", "disk", DISK, DISK_FORMS),
    row(
        Alibaba,
        "ecs",
        "CreateSecurityGroup",
        "security group",
        "referencedResources.\"ACS::ECS::SecurityGroup\"[]",
        &[typed("alibaba-ecs", "securitygroup"), acs("arn:acs:ecs:{region}:{account}:securitygroup/{id}")],
    ),
    row(
        Alibaba,
        "rds",
        "CreateDBInstance",
        "database instance",
        "referencedResources.\"ACS::RDS::DBInstance\"[]",
        &[typed("alibaba-rds", "INSTANCE"), acs("arn:acs:rds:{region}:{account}:dbinstance/{id}")],
    ),
    row(
        Alibaba,
        "oss",
        "PutBucket",
        "bucket",
        "referencedResources.\"ACS::OSS::Bucket\"[]",
        &[acs("arn:acs:oss:{region}:{account}:bucket/{id}")],
    ),
    row(Huawei, "ecs", "createServer", "server", SERVERS, &[tms("ecs")]),
    row(Huawei, "evs", "createVolume", "disk", "[resource_id, response.volume_id][]", &[tms("disk")]),
    row(Huawei, "vpc", "createVpc", "VPC", "[resource_id, response.vpc.id][]", &[tms("vpcs")]),
    row(Huawei, "vpc", "createEip", "elastic IP", "[resource_id, response.publicip.id][]", &[tms("eip")]),
    row(Huawei, "eip", "createEip", "elastic IP", "[resource_id, response.publicip.id][]", &[tms("eip")]),
];

/// The rows of an event.
pub fn of<'e>(source: Source, service: &'e str, event: &'e str) -> impl Iterator<Item = &'static Known> + 'e {
    TABLE.iter().filter(move |row| row.source == source && row.service == service && row.event == event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::path::Path;

    #[test]
    fn every_row_has_a_path_that_compiles_and_a_form() {
        for row in TABLE {
            assert!(Path::compile(row.ids).is_ok(), "{}: {}", row.event, row.ids);
            assert!(!row.forms.is_empty(), "{}", row.event);
            assert_eq!(row.service, row.service.to_lowercase());
            for form in row.forms {
                assert!(form.id.contains("{id}"), "{}", row.event);
            }
        }
    }
}
