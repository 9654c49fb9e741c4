"""Parameter Store and STS: the life of a pointer to an image."""

NAME = "/shop/stage"
# moto stores names of reads and fails over them later, so such calls use a separate region.
ELSEWHERE = "us-east-1"


def story(r):
    r.call("who am I", "sts", "get_caller_identity")
    writing(r)
    reading(r)
    labels(r)
    refusals(r)
    lists(r)
    tags(r)
    r.call("delete one", "ssm", "delete_parameter", Name=NAME)
    r.call("delete it again", "ssm", "delete_parameter", Name=NAME)
    r.call("delete several", "ssm", "delete_parameters", Names=["/shop/list", "/shop/none"])
    r.call("read what is deleted", "ssm", "get_parameter", Name=NAME)


def writing(r):
    made = {"Name": NAME, "Type": "String", "Value": "one", "Description": "first", "Tags": [{"Key": "team", "Value": "web"}]}
    r.call("create", "ssm", "put_parameter", **made)
    r.call("create again", "ssm", "put_parameter", Name=NAME, Type="String", Value="two")
    r.call("overwrite", "ssm", "put_parameter", Name=NAME, Value="two", Overwrite=True)
    r.call("create a list", "ssm", "put_parameter", Name="/shop/list", Type="StringList", Value="a,b")
    r.call("create a secret", "ssm", "put_parameter", Name="/shop/deep/secret", Type="SecureString", Value="hush")
    r.call("create below", "ssm", "put_parameter", Name=f"{NAME}/candidate", Type="String", Value="three", Tier="Advanced")


def reading(r):
    r.call("read", "ssm", "get_parameter", Name=NAME)
    r.call("read by version", "ssm", "get_parameter", Name=f"{NAME}:1")
    r.call("read a version that is not there", "ssm", "get_parameter", Name=f"{NAME}:9")
    r.call("read by ARN", "ssm", "get_parameter", Name=f"arn:aws:ssm:eu-central-1:123456789012:parameter{NAME}")
    r.call("read a secret", "ssm", "get_parameter", Name="/shop/deep/secret", WithDecryption=True)
    r.call("read nothing", "ssm", "get_parameter", Name="/shop/none", region=ELSEWHERE)
    r.call("read several", "ssm", "get_parameters", Names=[NAME, "/shop/none", "/shop/list"])
    r.call("read too many", "ssm", "get_parameters", Names=[f"/shop/{n}" for n in range(11)])
    r.call("read the history", "ssm", "get_parameter_history", Name=NAME)
    r.call("read a page of the history", "ssm", "get_parameter_history", Name=NAME, MaxResults=1)
    r.call("read the history of nothing", "ssm", "get_parameter_history", Name="/shop/none", region=ELSEWHERE)


def labels(r):
    r.call("label the newest", "ssm", "label_parameter_version", Name=NAME, Labels=["live"])
    r.call("move the label", "ssm", "label_parameter_version", Name=NAME, ParameterVersion=1, Labels=["live", "old", "9th"])
    r.call("read by label", "ssm", "get_parameter", Name=f"{NAME}:live")
    r.call("label a version that is not there", "ssm", "label_parameter_version", Name=NAME, ParameterVersion=9, Labels=["live"])
    r.call("label nothing", "ssm", "label_parameter_version", Name="/shop/none", Labels=["live"], region=ELSEWHERE)
    r.call("take labels off", "ssm", "unlabel_parameter_version", Name=NAME, ParameterVersion=1, Labels=["old", "never"])
    r.call("eleven labels", "ssm", "label_parameter_version", Name=NAME, ParameterVersion=1, Labels=[f"l{n}" for n in range(10)])
    r.call("history with labels", "ssm", "get_parameter_history", Name=NAME)


def refusals(r):
    def put(step, **given):
        r.call(step, "ssm", "put_parameter", region=ELSEWHERE, **{"Name": "/shop/bad", "Type": "String", "Value": "x", **given})

    put("a reserved prefix", Name="ssmthing")
    put("a reserved path", Name="/ssm/x/y")
    put("a name of AWS", Name="/aws/service/mine")
    put("a type that does not exist", Type="Number")
    put("a data type that does not exist", DataType="AWS::EC2::Image")
    put("no value", Value="")
    put("tags with overwrite", Overwrite=True, Tags=[{"Key": "a", "Value": "b"}])
    r.call("no type", "ssm", "put_parameter", region=ELSEWHERE, Name="/shop/bad", Value="x")


def lists(r):
    def by(step, **filtered):
        r.call(step, "ssm", "describe_parameters", ParameterFilters=[filtered])

    r.call("describe all", "ssm", "describe_parameters")
    by("by type", Key="Type", Values=["StringList"])
    by("by name", Key="Name", Option="BeginsWith", Values=[NAME])
    by("by text", Key="Name", Option="Contains", Values=["candidate"])
    by("by path, one level", Key="Path", Option="OneLevel", Values=["/shop"])
    by("by path, all levels", Key="Path", Option="Recursive", Values=["/shop"])
    by("by tag", Key="tag:team", Values=["web"])
    by("by a key that does not exist", Key="Colour", Values=["red"])
    by("by an option that does not exist", Key="Name", Option="Recursive", Values=["/shop"])
    r.call("below a path", "ssm", "get_parameters_by_path", Path="/shop")
    r.call("far below a path", "ssm", "get_parameters_by_path", Path="/shop/", Recursive=True, WithDecryption=True)
    r.call("below nothing", "ssm", "get_parameters_by_path", Path="/none")
    r.call("by label", "ssm", "get_parameters_by_path", Path="/shop", ParameterFilters=[{"Key": "Label", "Values": ["live"]}])


def tags(r):
    resource = {"ResourceType": "Parameter", "ResourceId": NAME}
    r.call("tag", "ssm", "add_tags_to_resource", **resource, Tags=[{"Key": "team", "Value": "app"}, {"Key": "cost", "Value": ""}])
    r.call("tags", "ssm", "list_tags_for_resource", **resource)
    r.call("untag", "ssm", "remove_tags_from_resource", **resource, TagKeys=["cost", "never"])
    r.call("tags again", "ssm", "list_tags_for_resource", **resource)
    r.call("tags of nothing", "ssm", "list_tags_for_resource", ResourceType="Parameter", ResourceId="/shop/none", region=ELSEWHERE)
