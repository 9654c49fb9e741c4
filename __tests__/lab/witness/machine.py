"""An image of an instance on which a command ran contains the result of that command. Through boto3 alone."""

from images import BASE, available, until

SHELL = "AWS-RunShellScript"


def story(r):
    base = r.name("base", r.call("newest base image", "ssm", "get_parameter", Name=BASE)["Parameter"]["Value"])
    builder = launch(r, "builder", base)
    online(r, builder)
    r.call("node", "ssm", "describe_instance_information", Filters=[{"Key": "InstanceIds", "Values": [builder]}])
    bake = ["set -e", "mkdir -p /opt/app", "echo baked > /opt/app/version", "id -u", "echo written to stderr >&2"]
    run(r, "install", builder, bake)
    run(r, "fail", builder, ["echo before", "exit 7", "echo never"])
    run(r, "another interpreter", builder, ["#!/bin/sh -e", "pwd", 'echo "home: ${HOME-none}"', "false", "echo never"])
    r.call("stop", "ec2", "stop_instances", InstanceIds=[builder])
    until(r, builder, "stopped")
    image = r.name("image", r.call("bake", "ec2", "create_image", InstanceId=builder, Name="machine story 1")["ImageId"])
    available(r, image)
    r.ask("ec2", "terminate_instances", InstanceIds=[builder])
    trial(r, image)
    point(r, image)


def launch(r, word, image):
    wanted = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    instance = r.call(f"launch the {word}", "ec2", "run_instances", **wanted)["Instances"][0]["InstanceId"]
    until(r, r.name(word, instance), "running")
    return instance


def online(r, instance):
    def look():
        found = r.ask("ssm", "describe_instance_information", Filters=[{"Key": "InstanceIds", "Values": [instance]}])
        return [one["PingStatus"] for one in found["InstanceInformationList"]]

    r.wait(look, lambda seen: seen == ["Online"])


def run(r, step, instance, commands):
    sent = r.ask("ssm", "send_command", DocumentName=SHELL, InstanceIds=[instance], Parameters={"commands": commands})
    asked = {"CommandId": sent["Command"]["CommandId"], "InstanceId": instance}
    ended = ("Success", "Failed", "TimedOut", "Cancelled")
    r.wait(lambda: r.ask("ssm", "get_command_invocation", **asked)["Status"], lambda seen: seen in ended)
    r.call(step, "ssm", "get_command_invocation", **asked)


def trial(r, image):
    instance = launch(r, "trial", image)
    online(r, instance)
    run(r, "look", instance, ["cat /opt/app/version"])
    r.call("terminate", "ec2", "terminate_instances", InstanceIds=[instance])
    until(r, instance, "terminated")
    r.call("command for what is gone", "ssm", "send_command", DocumentName=SHELL, InstanceIds=[instance], Parameters={"commands": ["true"]})


def point(r, image):
    r.call("point", "ssm", "put_parameter", Name="/shop/stage", Type="String", DataType="aws:ec2:image", Value=image)
    r.wait(lambda: r.ask("ssm", "get_parameter", Name="/shop/stage")["Parameter"]["Value"], lambda seen: seen == image)
    r.call("pointer", "ssm", "get_parameter", Name="/shop/stage")
