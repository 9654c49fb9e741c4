# A group whose first instance saves itself. It starts from Debian, and the last step of its set-up makes the image of all later instances. No
# runner and no Lambda. From the second "terraform apply" on, the launch template names that image. docs/coming-from/save-ami.md
#
#   module "web" {
#     source      = "github.com/ORG/ami-action//examples/save-ami"
#     app         = "web"
#     environment = "stage"
#     subnet_ids  = var.subnet_ids
#     set_up      = "aws s3 cp s3://acme-ansible/ansible-roles.tar.gz - | tar -xz -C /opt && ansible-playbook /opt/ansible/setup.yaml"
#     deploy      = "ansible-playbook /opt/ansible/deploy_node.yaml"
#   }

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"]
  filter {
    name   = "name"
    values = [var.debian]
  }
}

# The pointer does not exist before the first image. A data source of one parameter would fail; this one answers with what there is.
data "aws_ssm_parameters_by_path" "pointers" {
  path = "/deploy_ex/${var.environment}/${var.app}"
}

locals {
  name = "${var.app}-${var.environment}"
  # An image ID is no secret.
  pointers = nonsensitive(zipmap(data.aws_ssm_parameters_by_path.pointers.names, data.aws_ssm_parameters_by_path.pointers.values))
  saved    = var.use_custom_ami ? lookup(local.pointers, "/deploy_ex/${var.environment}/${var.app}/latest_ami", "") : ""
  image_id = local.saved == "" ? data.aws_ami.debian.id : local.saved
  settings = templatefile("${path.module}/ami.yml.tftpl", {
    app          = var.app
    environment  = var.environment
    region       = data.aws_region.here.id
    created_at   = "$(date -u +%FT%TZ)" # when the instance writes the file
    test_profile = aws_iam_instance_profile.test.name
    subnets      = join(", ", var.subnet_ids)
  })
  set_up = templatefile("${path.module}/set-up.sh.tftpl", {
    set_up   = var.set_up
    deploy   = var.deploy
    settings = local.settings
    save     = file("${path.module}/save-ami.sh")
  })
  start = templatefile("${path.module}/start.sh.tftpl", { deploy = var.deploy })
}

resource "aws_launch_template" "this" {
  name          = local.name
  image_id      = local.image_id
  instance_type = var.instance_type
  user_data     = base64encode(local.saved == "" ? local.set_up : local.start)

  iam_instance_profile {
    name = aws_iam_instance_profile.this.name
  }

  metadata_options {
    http_tokens = "required"
  }
}

resource "aws_autoscaling_group" "this" {
  name                = local.name
  min_size            = var.min_size
  max_size            = var.max_size
  vpc_zone_identifier = var.subnet_ids

  launch_template {
    id      = aws_launch_template.this.id
    version = aws_launch_template.this.latest_version
  }

  lifecycle {
    ignore_changes = [desired_capacity]
  }
}

# Regular instances, next to the group or instead of it. One that runs is not replaced when the image changes.
resource "aws_instance" "this" {
  count                = var.instances
  ami                  = local.image_id
  instance_type        = var.instance_type
  iam_instance_profile = aws_iam_instance_profile.this.name
  subnet_id            = var.subnet_ids[count.index % length(var.subnet_ids)]
  user_data_base64     = base64encode(local.saved == "" ? local.set_up : local.start)

  metadata_options {
    http_tokens = "required"
  }

  # The role may save instances of the group, and those with this tag.
  tags = {
    Name                  = local.name
    "ami-action:saved-as" = local.name
  }

  lifecycle {
    ignore_changes = [ami, user_data_base64]
  }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

# The role of the instances: it may save them, and nothing of other families.
resource "aws_iam_role" "this" {
  name               = local.name
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "save" {
  name = "save-ami"
  role = aws_iam_role.this.id
  policy = templatefile("${path.module}/policy.json.tftpl", {
    partition   = data.aws_partition.here.partition
    account     = data.aws_caller_identity.here.account_id
    app         = var.app
    environment = var.environment
    test_role   = aws_iam_role.test.arn
  })
}

resource "aws_iam_instance_profile" "this" {
  name = local.name
  role = aws_iam_role.this.name
}

# The role of the instance on which an image is tried: the SSM agent, and nothing else.
resource "aws_iam_role" "test" {
  name               = "${local.name}-test"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

data "aws_iam_policy_document" "agent" {
  statement {
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonSSMManagedEC2InstanceDefaultPolicy.html
    actions = [
      "ec2messages:AcknowledgeMessage",
      "ec2messages:DeleteMessage",
      "ec2messages:FailMessage",
      "ec2messages:GetEndpoint",
      "ec2messages:GetMessages",
      "ec2messages:SendReply",
      "ssm:UpdateInstanceInformation",
      "ssmmessages:CreateControlChannel",
      "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel",
      "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"]
  }
}

resource "aws_iam_role_policy" "test" {
  name   = "agent"
  role   = aws_iam_role.test.id
  policy = data.aws_iam_policy_document.agent.json
}

resource "aws_iam_instance_profile" "test" {
  name = "${local.name}-test"
  role = aws_iam_role.test.name
}

output "image_id" {
  description = "What new instances start from."
  value       = local.image_id
}
