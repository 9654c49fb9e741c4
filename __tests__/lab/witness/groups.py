"""Launch templates and Auto Scaling groups."""

from images import BASE, NO_IMAGE

GROUP = {"AutoScalingGroupName": "web"}


def story(r):
    base = r.name("base", r.ask("ssm", "get_parameter", Name=BASE)["Parameter"]["Value"])
    template = templates(r, base)
    group(r, template)
    processes(r)
    changes(r)
    refusals(r, template)
    r.call("delete the group", "autoscaling", "delete_auto_scaling_group", **GROUP, ForceDelete=True)
    r.wait(lambda: r.ask("autoscaling", "describe_auto_scaling_groups")["AutoScalingGroups"], lambda seen: seen == [])
    r.call("delete the template", "ec2", "delete_launch_template", LaunchTemplateId=template)
    r.call("templates in the end", "ec2", "describe_launch_templates")


def templates(r, base):
    data = {"ImageId": base, "InstanceType": "t3.micro", "MetadataOptions": {"HttpTokens": "required"}}
    made = r.call("template", "ec2", "create_launch_template", LaunchTemplateName="web", VersionDescription="first", LaunchTemplateData=data)
    template = r.name("template", made["LaunchTemplate"]["LaunchTemplateId"])
    r.call("the same template", "ec2", "create_launch_template", LaunchTemplateName="web", LaunchTemplateData=data)
    new = {"LaunchTemplateId": template, "LaunchTemplateData": {"ImageId": base, "InstanceType": "t3.small"}}
    r.call("version", "ec2", "create_launch_template_version", **new, VersionDescription="second")
    r.call("versions", "ec2", "describe_launch_template_versions", LaunchTemplateId=template)
    r.call("default version", "ec2", "describe_launch_template_versions", LaunchTemplateId=template, Versions=["$Default"])
    r.call("newest version", "ec2", "describe_launch_template_versions", LaunchTemplateName="web", Versions=["$Latest"])
    r.call("move the default", "ec2", "modify_launch_template", LaunchTemplateId=template, DefaultVersion="2")
    r.call("templates", "ec2", "describe_launch_templates", LaunchTemplateNames=["web"])
    r.call("a version that is not there", "ec2", "describe_launch_template_versions", LaunchTemplateId=template, Versions=["9"])
    r.call("a template that is not there", "ec2", "describe_launch_templates", LaunchTemplateNames=["missing"])
    r.call("a version of nothing", "ec2", "create_launch_template_version", LaunchTemplateName="missing", LaunchTemplateData={"ImageId": NO_IMAGE})
    return template


def group(r, template):
    subnets = r.ask("ec2", "describe_subnets")["Subnets"]
    wanted = {"LaunchTemplate": {"LaunchTemplateId": template, "Version": "1"}, "MinSize": 1, "MaxSize": 3, "DesiredCapacity": 2}
    tags = [{"Key": "team", "Value": "web", "PropagateAtLaunch": True, "ResourceId": "web", "ResourceType": "auto-scaling-group"}]
    subnet = sorted(subnets, key=lambda one: one["AvailabilityZone"])[0]["SubnetId"]
    r.name("subnet", subnet)
    r.call("group", "autoscaling", "create_auto_scaling_group", **GROUP, **wanted, VPCZoneIdentifier=subnet, Tags=tags)
    settled(r, 2)
    r.call("describe", "autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=["web"])
    r.call("its instances", "autoscaling", "describe_auto_scaling_instances")
    r.call("its tags", "autoscaling", "describe_tags", Filters=[{"Name": "auto-scaling-group", "Values": ["web"]}])
    r.call("groups that are not there", "autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=["missing"])


def settled(r, count):
    def look():
        return r.ask("autoscaling", "describe_auto_scaling_groups")["AutoScalingGroups"][0]["Instances"]

    r.wait(look, lambda seen: [one["LifecycleState"] for one in seen] == ["InService"] * count)


def processes(r):
    r.call("suspend", "autoscaling", "suspend_processes", **GROUP, ScalingProcesses=["AZRebalance", "Terminate"])
    r.call("describe suspended", "autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=["web"])
    r.call("resume", "autoscaling", "resume_processes", **GROUP)


def changes(r):
    r.call("desired", "autoscaling", "set_desired_capacity", **GROUP, DesiredCapacity=1)
    settled(r, 1)
    instance = r.ask("autoscaling", "describe_auto_scaling_groups")["AutoScalingGroups"][0]["Instances"][0]["InstanceId"]
    r.call("protect", "autoscaling", "set_instance_protection", **GROUP, InstanceIds=[instance], ProtectedFromScaleIn=True)
    r.call("update", "autoscaling", "update_auto_scaling_group", **GROUP, MinSize=0, LaunchTemplate={"LaunchTemplateName": "web", "Version": "2"})
    r.call("describe updated", "autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=["web"])


def refusals(r, template):
    launch = {"LaunchTemplate": {"LaunchTemplateId": template}}
    r.call("desired beyond the most", "autoscaling", "set_desired_capacity", **GROUP, DesiredCapacity=9)
    r.call("desired of nothing", "autoscaling", "set_desired_capacity", AutoScalingGroupName="missing", DesiredCapacity=1)
    r.call("least beyond the most", "autoscaling", "update_auto_scaling_group", **GROUP, MinSize=9)
    r.call("update nothing", "autoscaling", "update_auto_scaling_group", AutoScalingGroupName="missing", MinSize=1)
    r.call("group of nothing", "autoscaling", "create_auto_scaling_group", AutoScalingGroupName="empty", MinSize=0, MaxSize=1)
    r.call("group without a network", "autoscaling", "create_auto_scaling_group", AutoScalingGroupName="empty", MinSize=0, MaxSize=1, **launch)
    r.call("the same group", "autoscaling", "create_auto_scaling_group", **GROUP, MinSize=0, MaxSize=1, AvailabilityZones=["eu-central-1a"], **launch)
    r.call("delete a group with machines", "autoscaling", "delete_auto_scaling_group", **GROUP)
    r.call("delete nothing", "autoscaling", "delete_auto_scaling_group", AutoScalingGroupName="missing")
