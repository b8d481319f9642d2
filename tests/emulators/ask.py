"""Asks an emulator with boto3: argument 1 is its URL, 2 and 3 the key, 4 a script that sets `answer`."""

import json
import sys

import boto3
from botocore.config import Config

url, key, secret, script = sys.argv[1:5]


def client(service, region="us-east-1"):
    config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}, proxies={})
    return boto3.client(
        service, region, endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=secret, config=config
    )


def bucket(name, region="us-east-1", tags=None):
    s3 = client("s3", region)
    if region == "us-east-1":
        s3.create_bucket(Bucket=name)
    else:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
    if tags:
        tag_set = [{"Key": key, "Value": value} for key, value in tags.items()]
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_set})


def bucket_tags(name, region="us-east-1"):
    """None when there is no tag set at all; moto leaves empty values out."""
    s3 = client("s3", region)
    try:
        return {tag["Key"]: tag.get("Value", "") for tag in s3.get_bucket_tagging(Bucket=name)["TagSet"]}
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchTagSet":
            return None
        raise


def user():
    """The key of a new user who may do everything."""
    iam = client("iam")
    iam.create_user(UserName="tagger")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="tagger", PolicyName="all", PolicyDocument=json.dumps(everything))
    made = iam.create_access_key(UserName="tagger")["AccessKey"]
    return [made["AccessKeyId"], made["SecretAccessKey"]]


answer = None
exec(script)
print(json.dumps(answer))
