"""EC2: from a base image to an own image, and its removal."""

BASE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
NO_IMAGE, NO_INSTANCE, NO_SNAPSHOT = "ami-0fffffffffffffff0", "i-0fffffffffffffff0", "snap-0fffffffffffffff0"
TAGS = [{"Key": "Name", "Value": "trial"}, {"Key": "team", "Value": "web"}]


def story(r):
    base = r.name("base", r.ask("ssm", "get_parameter", Name=BASE)["Parameter"]["Value"])
    subnet = network(r)
    instance = launch(r, base, subnet)
    image = bake(r, instance)
    share(r, image)
    copy(r, image)
    remove(r, image)
    end(r, instance)
    unknown(r)


def network(r):
    vpc = r.call("default network", "ec2", "describe_vpcs", Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]
    r.name("vpc", vpc["VpcId"])
    subnets = r.call("its subnets", "ec2", "describe_subnets", Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
    r.call("zones", "ec2", "describe_availability_zones")
    r.call("a key", "ec2", "create_key_pair", KeyName="trial", KeyType="ed25519")
    r.call("the same key", "ec2", "create_key_pair", KeyName="trial")
    r.call("keys", "ec2", "describe_key_pairs", KeyNames=["trial"])
    group = r.call("a group", "ec2", "create_security_group", GroupName="trial", Description="for a trial", VpcId=vpc["VpcId"])
    r.name("group", group["GroupId"])
    r.call("the same group", "ec2", "create_security_group", GroupName="trial", Description="again", VpcId=vpc["VpcId"])
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "us"}]}
    r.call("a rule", "ec2", "authorize_security_group_ingress", GroupId=group["GroupId"], IpPermissions=[rule])
    r.call("the same rule", "ec2", "authorize_security_group_ingress", GroupId=group["GroupId"], IpPermissions=[rule])
    r.call("groups", "ec2", "describe_security_groups", GroupIds=[group["GroupId"]])
    r.call("delete the group", "ec2", "delete_security_group", GroupId=group["GroupId"])
    r.call("delete the key", "ec2", "delete_key_pair", KeyName="trial")
    return r.name("subnet", min(subnets, key=lambda one: one["AvailabilityZone"])["SubnetId"])


def launch(r, base, subnet):
    r.call("base image", "ec2", "describe_images", ImageIds=[base])
    wanted = {"ImageId": base, "InstanceType": "t3.micro", "SubnetId": subnet, "MinCount": 1, "MaxCount": 1}
    specified = [{"ResourceType": "instance", "Tags": TAGS}, {"ResourceType": "volume", "Tags": TAGS}]
    answer = r.call("run", "ec2", "run_instances", **wanted, TagSpecifications=specified, MetadataOptions={"HttpTokens": "required"})
    instance = answer["Instances"][0]["InstanceId"]
    r.name("instance", instance)
    until(r, instance, "running")
    r.call("describe", "ec2", "describe_instances", InstanceIds=[instance])
    r.call("describe by tag", "ec2", "describe_instances", Filters=[{"Name": "tag:team", "Values": ["web"]}])
    r.call("describe by state", "ec2", "describe_instances", Filters=[{"Name": "instance-state-name", "Values": ["stopped"]}])
    r.wait(lambda: checks(r, instance), lambda seen: seen == ["ok"])
    r.call("status", "ec2", "describe_instance_status", InstanceIds=[instance])
    r.call("volumes", "ec2", "describe_volumes", Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])
    r.call("tag", "ec2", "create_tags", Resources=[instance], Tags=[{"Key": "team", "Value": "app"}])
    r.call("tags", "ec2", "describe_tags", Filters=[{"Name": "resource-id", "Values": [instance]}])
    r.call("untag", "ec2", "delete_tags", Resources=[instance], Tags=[{"Key": "team"}])
    r.call("stop", "ec2", "stop_instances", InstanceIds=[instance])
    until(r, instance, "stopped")
    r.call("status of what is stopped", "ec2", "describe_instance_status", InstanceIds=[instance])
    return instance


def until(r, instance, state):
    def look():
        return r.ask("ec2", "describe_instances", InstanceIds=[instance])["Reservations"][0]["Instances"][0]["State"]["Name"]

    r.wait(look, lambda seen: seen == state)


def checks(r, instance):
    return [one["InstanceStatus"]["Status"] for one in r.ask("ec2", "describe_instance_status", InstanceIds=[instance])["InstanceStatuses"]]


def bake(r, instance):
    # moto cannot tag the snapshot in the same call.
    specified = [{"ResourceType": "image", "Tags": TAGS}]
    made = r.call("create", "ec2", "create_image", InstanceId=instance, Name="trial 1", Description="a trial", TagSpecifications=specified)
    image = r.name("image", made["ImageId"])
    available(r, image)
    seen = r.call("describe the image", "ec2", "describe_images", ImageIds=[image])["Images"][0]
    snapshot = r.name("snapshot", seen["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"])
    r.call("own images", "ec2", "describe_images", Owners=["self"])
    r.call("images by tag", "ec2", "describe_images", Filters=[{"Name": "tag:team", "Values": ["web"]}])
    r.call("images by name", "ec2", "describe_images", Owners=["self"], Filters=[{"Name": "name", "Values": ["trial*"]}])
    r.call("snapshots", "ec2", "describe_snapshots", SnapshotIds=[snapshot])
    r.call("delete a snapshot in use", "ec2", "delete_snapshot", SnapshotId=snapshot)
    r.call("create again", "ec2", "create_image", InstanceId=instance, Name="trial 1")
    r.call("create with a bad name", "ec2", "create_image", InstanceId=instance, Name="x")
    return image


def available(r, image, region=None):
    r.wait(lambda: r.ask("ec2", "describe_images", region=region, ImageIds=[image])["Images"][0]["State"], lambda seen: seen == "available")


def share(r, image):
    def launchers(step):
        r.call(step, "ec2", "describe_image_attribute", ImageId=image, Attribute="launchPermission")

    launchers("shared with no account")
    added = {"Add": [{"UserId": "444455556666"}]}
    r.call("share", "ec2", "modify_image_attribute", ImageId=image, LaunchPermission=added)
    r.call("share again", "ec2", "modify_image_attribute", ImageId=image, LaunchPermission=added)
    launchers("shared with one")
    r.call("unshare", "ec2", "modify_image_attribute", ImageId=image, LaunchPermission={"Remove": [{"UserId": "444455556666"}]})
    launchers("shared no more")
    r.call("share what is not there", "ec2", "modify_image_attribute", ImageId=NO_IMAGE, LaunchPermission=added)


def copy(r, image):
    wanted = {"Name": "trial copy", "SourceImageId": image, "SourceRegion": "eu-central-1", "Description": "a copy"}
    made = r.call("copy", "ec2", "copy_image", region="eu-west-1", **wanted)
    copied = r.name("copy", made["ImageId"])
    available(r, copied, "eu-west-1")
    r.call("describe the copy", "ec2", "describe_images", region="eu-west-1", ImageIds=[copied])
    r.call("copy what is not there", "ec2", "copy_image", region="eu-west-1", **{**wanted, "SourceImageId": NO_IMAGE})


def remove(r, image):
    r.call("deregister", "ec2", "deregister_image", ImageId=image)
    r.call("describe what is deregistered", "ec2", "describe_images", ImageIds=[image])
    r.call("deregister again", "ec2", "deregister_image", ImageId=image)
    r.call("deregister what is not there", "ec2", "deregister_image", ImageId=NO_IMAGE)


def end(r, instance):
    r.call("terminate", "ec2", "terminate_instances", InstanceIds=[instance])
    until(r, instance, "terminated")
    r.call("terminate again", "ec2", "terminate_instances", InstanceIds=[instance])


def unknown(r):
    r.call("an image that is not there", "ec2", "describe_images", ImageIds=[NO_IMAGE])
    r.call("an image that cannot be", "ec2", "describe_images", ImageIds=["banana"])
    r.call("an instance that is not there", "ec2", "describe_instances", InstanceIds=[NO_INSTANCE])
    r.call("an instance that cannot be", "ec2", "describe_instances", InstanceIds=["banana"])
    r.call("a snapshot that is not there", "ec2", "describe_snapshots", SnapshotIds=[NO_SNAPSHOT])
    r.call("a group that is not there", "ec2", "describe_security_groups", GroupIds=["sg-0fffffffffffffff0"])
    r.call("a key that is not there", "ec2", "describe_key_pairs", KeyNames=["missing"])
    r.call("terminate what is not there", "ec2", "terminate_instances", InstanceIds=[NO_INSTANCE])
    r.call("tag what is not there", "ec2", "create_tags", Resources=[NO_INSTANCE], Tags=TAGS)
    wanted = {"InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    r.call("run what is not there", "ec2", "run_instances", ImageId=NO_IMAGE, **wanted)
    r.call("run on what does not exist", "ec2", "run_instances", ImageId=NO_IMAGE, **{**wanted, "InstanceType": "t99.huge"})
