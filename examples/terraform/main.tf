# A fleet whose image ami-action moves: Terraform makes it, and afterwards keeps its hands off what a promotion changes.
#
#   mode: promote
#   family: web
#   environment: stage
#   groups: web-stage

variable "subnet_ids" {
  type = list(string)
}

variable "base_image_parameter" {
  description = "What the fleet runs before the first promotion."
  type        = string
  default     = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

# The pointer does not exist before the first promotion. A data source of one parameter would fail; this one answers with what there is.
data "aws_ssm_parameters_by_path" "pointers" {
  path = "/ami/web"
}

data "aws_ssm_parameter" "base" {
  name = var.base_image_parameter
}

locals {
  # An image ID is no secret.
  pointers = nonsensitive(zipmap(data.aws_ssm_parameters_by_path.pointers.names, data.aws_ssm_parameters_by_path.pointers.values))
  image_id = lookup(local.pointers, "/ami/web/stage", nonsensitive(data.aws_ssm_parameter.base.value))
}

resource "aws_launch_template" "web" {
  name          = "web-stage"
  image_id      = local.image_id
  instance_type = "t3.micro"

  lifecycle {
    # A promotion adds a version with another image, and says so in its description; this would take it back.
    ignore_changes = [image_id, description]
  }
}

resource "aws_autoscaling_group" "web" {
  name                = "web-stage"
  min_size            = 0
  max_size            = 4
  desired_capacity    = 1
  vpc_zone_identifier = var.subnet_ids

  launch_template {
    id      = aws_launch_template.web.id
    version = aws_launch_template.web.latest_version
  }

  lifecycle {
    # The number that the group launches is what a promotion moves, and a rollback moves back. Scaling is not ours either.
    ignore_changes = [launch_template[0].version, desired_capacity]
  }
}

output "image_id" {
  value = local.image_id
}
