# The roles of one repository from Terraform: the same templates, so that both ways grant the same.
#
#   terraform init && terraform apply -var repository=acme/web -var repository_id=456789

variable "repository" {
  type = string
}

variable "repository_id" {
  description = "gh api repos/acme/web --jq .id"
  type        = string
}

variable "subject" {
  description = "The repository in the subject of its tokens, where it has IDs: repo:acme@1234/web@5678."
  type        = string
  default     = null
}

variable "families" {
  type    = list(string)
  default = ["web"]
}

variable "create_provider" {
  description = "An account has one OIDC provider for GitHub. Set false where it exists."
  type        = bool
  default     = true
}

variable "environments" {
  description = "Groups and launch templates of each environment in this account."
  type = map(object({
    groups           = list(string)
    launch_templates = list(string)
    group_roles      = optional(list(string), [])
  }))
  default = {}
}

locals {
  name = "ami-${var.families[0]}"
  common = {
    Subject      = coalesce(var.subject, "repo:${var.repository}")
    RepositoryId = var.repository_id
    Families     = join(",", var.families)
  }
}

resource "aws_cloudformation_stack" "images" {
  name          = local.name
  capabilities  = ["CAPABILITY_NAMED_IAM"]
  template_body = file("${path.module}/../../delivery-role.yml")
  parameters = merge(local.common, {
    Repository      = var.repository
    LaunchTemplates = join(",", flatten([for environment in var.environments : environment.launch_templates]))
    Provider        = var.create_provider ? "create" : "exists"
  })
}

resource "aws_cloudformation_stack" "environment" {
  for_each      = var.environments
  name          = "${local.name}-${each.key}"
  capabilities  = ["CAPABILITY_NAMED_IAM"]
  template_body = file("${path.module}/../../environment-role.yml")
  parameters = merge(local.common, {
    Environment     = each.key
    Pointers        = join(",", [for family in var.families : "/ami/${family}"])
    Groups          = join(",", each.value.groups)
    LaunchTemplates = join(",", each.value.launch_templates)
    GroupRoles      = join(",", each.value.group_roles)
  })
  depends_on = [aws_cloudformation_stack.images]
}

output "images_role" {
  value = aws_cloudformation_stack.images.outputs["Images"]
}

output "rollout_roles" {
  value = { for name, stack in aws_cloudformation_stack.environment : name => stack.outputs["Rollout"] }
}
