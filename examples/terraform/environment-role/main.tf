# One environment: the same roles as ../../environment-role.yml, which says what each is for. Once for each environment, in the account of its
# groups.
#
#   module "ami_stage" {
#     source           = "github.com/ORG/ami-action//examples/terraform/environment-role"
#     name             = "ami-web-stage"
#     repository       = "acme/web"
#     repository_id    = "456789" # gh api repos/acme/web --jq .id
#     environment      = "stage"
#     families         = ["web"]
#     pointers         = ["/ami/web"]
#     groups           = ["web-stage*"]
#     launch_templates = [aws_launch_template.web.id]
#     group_roles      = [aws_iam_role.web.arn]
#   }

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}

locals {
  account          = data.aws_caller_identity.here.account_id
  partition        = data.aws_partition.here.partition
  subject          = coalesce(var.subject, "repo:${var.repository}")
  refs             = concat(["refs/heads/${var.branch}"], var.release_tags == "" ? [] : ["refs/tags/${var.release_tags}"])
  parameters       = "arn:${local.partition}:ssm:*:${local.account}:parameter"
  launch_templates = [for id in var.launch_templates : "arn:${local.partition}:ec2:*:${local.account}:launch-template/${id}"]
  is_consumer      = var.delivery_role != ""
  provider = (var.create_provider
    ? aws_iam_openid_connect_provider.github[0].arn
    : "arn:${local.partition}:iam::${local.account}:oidc-provider/token.actions.githubusercontent.com"
  )
}

resource "aws_iam_openid_connect_provider" "github" {
  count          = var.create_provider ? 1 : 0
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

# promote, rollback
data "aws_iam_policy_document" "rollout_trust" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [local.provider]
    }
    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:aud"
      values   = ["sts.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:repository_id"
      values   = [var.repository_id]
    }
    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:sub"
      values   = ["${local.subject}:environment:${var.environment}"]
    }
    condition {
      test     = "StringLike"
      variable = "token.actions.githubusercontent.com:ref"
      values   = local.refs
    }
    dynamic "condition" {
      for_each = var.workflow == "" ? [] : [var.workflow]
      content {
        test     = "StringLike"
        variable = "token.actions.githubusercontent.com:job_workflow_ref"
        values   = [condition.value]
      }
    }
  }
}

resource "aws_iam_role" "rollout" {
  name               = "${var.name}-rollout"
  assume_role_policy = data.aws_iam_policy_document.rollout_trust.json
}

resource "aws_iam_role_policy" "rollout" {
  name   = "rollout"
  role   = aws_iam_role.rollout.id
  policy = data.aws_iam_policy_document.rollout.json
}

data "aws_iam_policy_document" "rollout" {
  statement {
    sid       = "Simulate" # doctor
    actions   = ["iam:SimulatePrincipalPolicy", "iam:GetRole"]
    resources = ["arn:${local.partition}:iam::${local.account}:role/${var.name}-rollout"]
  }

  statement {
    sid       = "Inspect" # doctor
    actions   = ["ec2:DescribeSnapshots", "ec2:GetAllowedImagesSettings", "kms:DescribeKey"]
    resources = ["*"]
  }

  statement {
    sid = "Read"
    actions = [
      # <environment>
      "autoscaling:DescribeAutoScalingGroups",
      "autoscaling:DescribeInstanceRefreshes",
      "autoscaling:DescribeLaunchConfigurations",
      "autoscaling:DescribeLifecycleHooks",
      "autoscaling:DescribeNotificationConfigurations",
      "autoscaling:DescribePolicies",
      "autoscaling:DescribeScalingActivities",
      "autoscaling:DescribeScheduledActions",
      "autoscaling:DescribeTrafficSources",
      "autoscaling:DescribeWarmPool",
      "cloudwatch:DescribeAlarms",
      "ec2:DescribeImages",
      "ec2:DescribeInstanceTypes",
      "ec2:DescribeInstances",
      "ec2:DescribeLaunchTemplateVersions",
      "ec2:DescribeLaunchTemplates",
      "ec2:DescribeTags",
      "ec2:GetConsoleOutput",
      "eks:DescribeNodegroup",
      "eks:DescribeUpdate",
      "eks:ListUpdates",
      "elasticloadbalancing:DescribeInstanceHealth",
      "elasticloadbalancing:DescribeListeners",
      "elasticloadbalancing:DescribeLoadBalancers",
      "elasticloadbalancing:DescribeRules",
      "elasticloadbalancing:DescribeTargetGroupAttributes",
      "elasticloadbalancing:DescribeTargetGroups",
      "elasticloadbalancing:DescribeTargetHealth",
      "route53:GetChange",
      "route53:ListResourceRecordSets",
      "ssm:GetCommandInvocation",
      # </environment>
    ]
    resources = ["*"]
  }

  statement {
    sid = "ReadPointers"
    actions = [
      "ssm:GetParameter",
      "ssm:GetParameterHistory",
      "ssm:GetParameters",
    ]
    resources = [for pointer in var.pointers : "${local.parameters}${pointer}/*"]
  }

  statement {
    sid = "MovePointer"
    actions = [
      "ssm:DeleteParameter",
      "ssm:PutParameter",
    ]
    resources = flatten([for pointer in var.pointers : [for end in ["", "/*"] : "${local.parameters}${pointer}/${var.environment}${end}"]])
  }

  statement {
    sid = "RollGroups"
    actions = [
      # <groups>
      "autoscaling:AttachTrafficSources",
      "autoscaling:CancelInstanceRefresh",
      "autoscaling:CreateAutoScalingGroup",
      "autoscaling:CreateOrUpdateTags",
      "autoscaling:DeleteAutoScalingGroup",
      "autoscaling:DeleteTags",
      "autoscaling:DetachTrafficSources",
      "autoscaling:EnableMetricsCollection",
      "autoscaling:PutLifecycleHook",
      "autoscaling:PutNotificationConfiguration",
      "autoscaling:PutScalingPolicy",
      "autoscaling:PutScheduledUpdateGroupAction",
      "autoscaling:RollbackInstanceRefresh",
      "autoscaling:StartInstanceRefresh",
      "autoscaling:SuspendProcesses",
      "autoscaling:UpdateAutoScalingGroup",
      # </groups>
    ]
    resources = [for group in var.groups : "arn:${local.partition}:autoscaling:*:${local.account}:autoScalingGroup:*:autoScalingGroupName/${group}"]
  }

  statement {
    sid = "TemplateVersions"
    actions = [
      "ec2:CreateLaunchTemplateVersion",
      "ec2:DeleteLaunchTemplateVersions",
    ]
    resources = local.launch_templates
  }

  # Auto Scaling checks that the caller may launch from the template.
  # https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
  statement {
    sid       = "LaunchFromTemplates"
    actions   = ["ec2:RunInstances"]
    resources = ["*"]
    condition {
      test     = "ArnLike"
      variable = "ec2:LaunchTemplate"
      values   = local.launch_templates
    }
  }

  dynamic "statement" {
    for_each = length(var.node_groups) > 0 ? [1] : []
    content {
      sid       = "MoveNodeGroups"
      actions   = ["eks:UpdateNodegroupVersion"]
      resources = [for name in var.node_groups : "arn:${local.partition}:eks:*:${local.account}:nodegroup/${name}/*"]
    }
  }

  dynamic "statement" {
    for_each = var.launch_configurations ? [1] : []
    content {
      sid       = "CopyConfigurations"
      actions   = ["autoscaling:CreateLaunchConfiguration", "autoscaling:DeleteLaunchConfiguration"]
      resources = ["arn:${local.partition}:autoscaling:*:${local.account}:launchConfiguration:*:launchConfigurationName/*-ami-action-*"]
    }
  }

  dynamic "statement" {
    for_each = var.launch_configurations ? [1] : []
    content {
      sid       = "ConvertConfigurations"
      actions   = ["ec2:CreateLaunchTemplate", "ec2:CreateTags"]
      resources = ["arn:${local.partition}:ec2:*:${local.account}:launch-template/*"]
      condition {
        test     = "Null"
        variable = "aws:RequestTag/ami-action:launch-configuration"
        values   = ["false"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.launch_configurations ? [1] : []
    content {
      sid       = "ConvertedTemplates"
      actions   = ["ec2:CreateLaunchTemplateVersion", "ec2:DeleteLaunchTemplate", "ec2:DeleteLaunchTemplateVersions"]
      resources = ["arn:${local.partition}:ec2:*:${local.account}:launch-template/*"]
      condition {
        test     = "Null"
        variable = "aws:ResourceTag/ami-action:launch-configuration"
        values   = ["false"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.launch_configurations ? [1] : []
    content {
      sid       = "LaunchConverted"
      actions   = ["ec2:RunInstances"]
      resources = ["*"]
      condition {
        test     = "Null"
        variable = "ec2:LaunchTemplate"
        values   = ["false"]
      }
    }
  }

  statement {
    sid       = "TagOnLaunch"
    actions   = ["ec2:CreateTags"]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["RunInstances"]
    }
  }

  # A rollback vetoes the image in the environment. No other tag: a verdict is not for this role to write.
  statement {
    sid = "Veto"
    actions = [
      "ec2:CreateTags",
      "ec2:DeleteTags",
    ]
    resources = ["arn:${local.partition}:ec2:*::image/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/ami-action:family"
      values   = var.families
    }
    condition {
      test     = "ForAllValues:StringEquals"
      variable = "aws:TagKeys"
      values   = ["ami-action:vetoed-in"]
    }
  }

  statement {
    sid       = "RunChecks"
    actions   = ["ssm:SendCommand"]
    resources = ["arn:${local.partition}:ssm:*::document/AWS-RunShellScript"]
  }

  statement {
    sid       = "RunChecksOnGroups"
    actions   = ["ssm:SendCommand"]
    resources = ["arn:${local.partition}:ec2:*:${local.account}:instance/*"]
    condition {
      test     = "StringLike"
      variable = "ssm:resourceTag/aws:autoscaling:groupName"
      values   = var.groups
    }
  }

  dynamic "statement" {
    for_each = length(var.group_roles) > 0 ? [1] : []
    content {
      sid       = "PassGroupRoles"
      actions   = ["iam:PassRole"]
      resources = var.group_roles
      condition {
        test     = "StringLike"
        variable = "iam:PassedToService"
        values   = ["ec2.amazonaws.com*"]
      }
    }
  }

  dynamic "statement" {
    for_each = length(var.hook_roles) > 0 ? [1] : []
    content {
      sid       = "PassHookRoles"
      actions   = ["iam:PassRole"]
      resources = var.hook_roles
      condition {
        test     = "StringEquals"
        variable = "iam:PassedToService"
        values   = ["autoscaling.amazonaws.com"]
      }
    }
  }

  dynamic "statement" {
    for_each = length(var.listeners) > 0 ? [1] : []
    content {
      sid       = "ShiftTraffic"
      actions   = ["elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyRule"]
      resources = var.listeners
    }
  }

  dynamic "statement" {
    for_each = length(var.stacks) > 0 ? [1] : []
    content {
      sid = "UpdateStacks"
      actions = [
        "cloudformation:CancelUpdateStack",
        "cloudformation:CreateChangeSet",
        "cloudformation:DeleteChangeSet",
        "cloudformation:DescribeChangeSet",
        "cloudformation:DescribeStackEvents",
        "cloudformation:DescribeStacks",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:GetTemplate",
      ]
      resources = [for stack in var.stacks : "arn:${local.partition}:cloudformation:*:${local.account}:stack/${stack}/*"]
    }
  }

  dynamic "statement" {
    for_each = length(var.hosted_zones) > 0 ? [1] : []
    content {
      sid       = "ShiftRecords"
      actions   = ["route53:ChangeResourceRecordSets"]
      resources = var.hosted_zones
    }
  }

  dynamic "statement" {
    for_each = var.verdict_key == "" ? [] : [1]
    content {
      sid       = "VerifyVerdicts"
      actions   = ["kms:VerifyMac"]
      resources = [var.verdict_key]
    }
  }

  dynamic "statement" {
    for_each = length(var.other_roles) > 0 ? [1] : []
    content {
      sid       = "OtherAccounts"
      actions   = ["sts:AssumeRole"]
      resources = var.other_roles
    }
  }
}

# The setting target-role of share and prune, in a consumer account.
data "aws_iam_policy_document" "share_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [var.delivery_role]
    }
  }
}

resource "aws_iam_role" "share" {
  count              = local.is_consumer ? 1 : 0
  name               = "${var.name}-share"
  assume_role_policy = data.aws_iam_policy_document.share_trust.json
}

resource "aws_iam_role_policy" "share" {
  count  = local.is_consumer ? 1 : 0
  name   = "share"
  role   = aws_iam_role.share[0].id
  policy = data.aws_iam_policy_document.share.json
}

data "aws_iam_policy_document" "share" {
  statement {
    sid = "Read"
    actions = [
      # <share>
      "autoscaling:DescribeAutoScalingGroups",
      "autoscaling:DescribeInstanceRefreshes",
      "autoscaling:DescribeLaunchConfigurations",
      "autoscaling:DescribeScalingActivities",
      "ec2:DescribeFleets",
      "ec2:DescribeImageAttribute",
      "ec2:DescribeImages",
      "ec2:DescribeInstances",
      "ec2:DescribeLaunchTemplateVersions",
      "ec2:DescribeSnapshotAttribute",
      "ec2:DescribeSnapshots",
      "ec2:DescribeSpotFleetRequests",
      "ec2:DescribeSpotInstanceRequests",
      "ec2:DescribeTags",
      "ec2:GetAllowedImagesSettings",
      "kms:DescribeKey",
      "kms:GetKeyPolicy",
      "kms:ListGrants",
      "ssm:DescribeParameters",
      "ssm:GetParameter",
      "ssm:GetParameterHistory",
      "ssm:GetParameters",
      # </share>
    ]
    resources = ["*"]
  }

  statement {
    sid       = "NoSecrets"
    effect    = "Deny"
    actions   = ["kms:Decrypt"]
    resources = ["*"]
    condition {
      test     = "StringLike"
      variable = "kms:ViaService"
      values   = ["ssm.*"]
    }
  }

  statement {
    sid     = "TagShared"
    actions = ["ec2:CreateTags"]
    resources = [
      "arn:${local.partition}:ec2:*::image/*",
      "arn:${local.partition}:ec2:*::snapshot/*",
    ]
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/ami-action:family"
      values   = var.families
    }
  }

  statement {
    sid = "CorrectTags"
    actions = [
      "ec2:CreateTags",
      "ec2:DeleteSnapshot",
      "ec2:DeleteTags",
      "ec2:DeregisterImage",
    ]
    resources = [
      "arn:${local.partition}:ec2:*::image/*",
      "arn:${local.partition}:ec2:*::snapshot/*",
    ]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/ami-action:family"
      values   = var.families
    }
  }

  # Copies of an image that failed validation, before they are of a family.
  statement {
    sid     = "RemoveUnfinished"
    actions = ["ec2:DeleteSnapshot", "ec2:DeregisterImage"]
    resources = [
      "arn:${local.partition}:ec2:*::image/*",
      "arn:${local.partition}:ec2:*::snapshot/*",
    ]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/ami-action:for-family"
      values   = var.families
    }
  }

  statement {
    sid     = "Copy"
    actions = ["ec2:CopyImage"]
    resources = [
      "arn:${local.partition}:ec2:*::image/*",
      "arn:${local.partition}:ec2:*::snapshot/*",
    ]
  }

  statement {
    sid       = "TagOnCreation"
    actions   = ["ec2:CreateTags"]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["CopyImage"]
    }
  }
}

output "rollout_role" {
  description = "role-to-assume of promote and rollback in this environment"
  value       = aws_iam_role.rollout.arn
}

output "share_role" {
  description = "target-role of share and prune, in a consumer account"
  value       = one(aws_iam_role.share[*].arn)
}
