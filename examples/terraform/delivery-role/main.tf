# The delivery account, once for each repository: the same roles as ../../delivery-role.yml, which says what each is for.
#
#   module "ami" {
#     source        = "github.com/ORG/ami-action//examples/terraform/delivery-role"
#     name          = "ami-web"
#     repository    = "acme/web"
#     repository_id = "456789" # gh api repos/acme/web --jq .id
#     families      = ["web"]
#   }

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}

locals {
  account   = data.aws_caller_identity.here.account_id
  partition = data.aws_partition.here.partition
  subject   = coalesce(var.subject, "repo:${var.repository}")
  refs      = concat(["refs/heads/${var.branch}"], var.release_tags == "" ? [] : ["refs/tags/${var.release_tags}"])
  ec2       = "ec2.${data.aws_partition.here.dns_suffix}"
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

# build, validate, share, prune, delete, adopt
data "aws_iam_policy_document" "images_trust" {
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
      test     = "StringLike"
      variable = "token.actions.githubusercontent.com:sub"
      values   = [for ref in local.refs : "${local.subject}:ref:${ref}"]
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

  dynamic "statement" {
    for_each = var.pull_requests == "build" ? [1] : []
    content {
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
        values   = ["${local.subject}:environment:pull-request"]
      }
    }
  }
}

resource "aws_iam_role" "images" {
  name               = "${var.name}-images"
  assume_role_policy = data.aws_iam_policy_document.images_trust.json
}

resource "aws_iam_role_policy" "images" {
  name   = "images"
  role   = aws_iam_role.images.id
  policy = data.aws_iam_policy_document.images.json
}

data "aws_iam_policy_document" "images" {
  statement {
    sid       = "Simulate" # doctor
    actions   = ["iam:SimulatePrincipalPolicy", "iam:GetRole"]
    resources = ["arn:${local.partition}:iam::${local.account}:role/${var.name}-images"]
  }

  statement {
    sid = "Read"
    actions = [
      # <images>
      "autoscaling:DescribeAutoScalingGroups",
      "autoscaling:DescribeInstanceRefreshes",
      "autoscaling:DescribeLaunchConfigurations",
      "autoscaling:DescribeScalingActivities",
      "cloudtrail:LookupEvents",
      "ec2:DescribeFleets",
      "ec2:DescribeImageAttribute",
      "ec2:DescribeImageReferences",
      "ec2:DescribeImageUsageReportEntries",
      "ec2:DescribeImageUsageReports",
      "ec2:DescribeImages",
      "ec2:DescribeInstanceStatus",
      "ec2:DescribeInstanceTypeOfferings",
      "ec2:DescribeInstanceTypes",
      "ec2:DescribeInstances",
      "ec2:DescribeLaunchTemplateVersions",
      "ec2:DescribeLaunchTemplates",
      "ec2:DescribeRegions",
      "ec2:DescribeSecurityGroups",
      "ec2:DescribeSnapshotAttribute",
      "ec2:DescribeSnapshots",
      "ec2:DescribeSpotFleetRequests",
      "ec2:DescribeSpotInstanceRequests",
      "ec2:DescribeSubnets",
      "ec2:DescribeTags",
      "ec2:DescribeVolumes",
      "ec2:DescribeVpcs",
      "ec2:GetAllowedImagesSettings",
      "ec2:GetConsoleOutput",
      "ec2:ListImagesInRecycleBin",
      "ec2:ListSnapshotsInRecycleBin",
      "imagebuilder:GetContainerRecipe",
      "imagebuilder:ListContainerRecipes",
      "imagebuilder:ListImageRecipes",
      "kms:DescribeKey",
      "kms:GetKeyPolicy",
      "kms:ListGrants",
      "ssm:DescribeInstanceInformation",
      "ssm:DescribeParameters",
      "ssm:GetCommandInvocation",
      "ssm:GetParameter",
      "ssm:GetParameterHistory",
      "ssm:GetParameters",
      "ssm:GetServiceSetting",
      # </images>
    ]
    resources = ["*"]
  }

  # Prune has to see every parameter that may name an image. Secret ones stay closed.
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
    sid       = "LaunchTagged"
    actions   = ["ec2:RunInstances"]
    resources = ["arn:${local.partition}:ec2:*:${local.account}:instance/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/ami-action:repository"
      values   = [var.repository]
    }
  }

  statement {
    sid     = "LaunchWith"
    actions = ["ec2:RunInstances"]
    resources = [
      "arn:${local.partition}:ec2:*::image/*",
      "arn:${local.partition}:ec2:*:${local.account}:key-pair/*",
      "arn:${local.partition}:ec2:*:${local.account}:network-interface/*",
      "arn:${local.partition}:ec2:*:${local.account}:security-group/*",
      "arn:${local.partition}:ec2:*:${local.account}:subnet/*",
      "arn:${local.partition}:ec2:*:${local.account}:volume/*",
    ]
  }

  statement {
    sid = "CreateTagged"
    actions = [
      "ec2:CreateKeyPair",
      "ec2:CreateSecurityGroup",
    ]
    resources = [
      "arn:${local.partition}:ec2:*:${local.account}:key-pair/*",
      "arn:${local.partition}:ec2:*:${local.account}:security-group/*",
    ]
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/ami-action:repository"
      values   = [var.repository]
    }
  }

  statement {
    sid       = "CreateInNetwork"
    actions   = ["ec2:CreateSecurityGroup"]
    resources = ["arn:${local.partition}:ec2:*:${local.account}:vpc/*"]
  }

  statement {
    sid = "Own"
    actions = [
      "ec2:AuthorizeSecurityGroupIngress",
      "ec2:CreateImage",
      "ec2:CreateTags",
      "ec2:DeleteKeyPair",
      "ec2:DeleteLaunchTemplate",
      "ec2:DeleteSecurityGroup",
      "ec2:DeleteSnapshot",
      "ec2:DeleteVolume",
      "ec2:DeregisterImage",
      "ec2:RebootInstances",
      "ec2:StopInstances",
      "ec2:TerminateInstances",
    ]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/ami-action:repository"
      values   = [var.repository]
    }
  }

  # Packer sets the description of its image. Once the image has its family, only consumer_accounts opens this call.
  statement {
    sid       = "DescribeUnfinished"
    actions   = ["ec2:ModifyImageAttribute"]
    resources = ["arn:${local.partition}:ec2:*::image/*"]
    condition {
      test     = "Null"
      variable = "aws:ResourceTag/ami-action:family"
      values   = ["true"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/ami-action:repository"
      values   = [var.repository]
    }
  }

  statement {
    sid = "OwnFamilies"
    actions = [
      "ec2:CreateImageUsageReport",
      "ec2:CreateTags",
      "ec2:DeleteSnapshot",
      "ec2:DeleteTags",
      "ec2:DeregisterImage",
      "ec2:DisableImage",
      "ec2:DisableImageDeprecation",
      "ec2:EnableImage",
      "ec2:EnableImageDeprecation",
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

  # Copies of an image that has no repository, such as an adopted one, before they are of a family.
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
    sid       = "Report"
    actions   = ["ec2:CreateImageUsageReport"]
    resources = ["arn:${local.partition}:ec2:*:${local.account}:image-usage-report/*"]
  }

  statement {
    sid = "MakeImages"
    actions = [
      "ec2:CopyImage",
      "ec2:CreateImage",
    ]
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
      values   = ["CopyImage", "CreateImage", "CreateKeyPair", "CreateSecurityGroup", "RunInstances"]
    }
  }

  statement {
    sid       = "RunChecks"
    actions   = ["ssm:SendCommand"]
    resources = ["arn:${local.partition}:ssm:*::document/AWS-RunShellScript"]
  }

  statement {
    sid       = "RunChecksOnTestInstances"
    actions   = ["ssm:SendCommand"]
    resources = ["arn:${local.partition}:ec2:*:${local.account}:instance/*"]
    condition {
      test     = "StringEquals"
      variable = "ssm:resourceTag/ami-action:purpose"
      values   = ["validate"]
    }
    condition {
      test     = "StringEquals"
      variable = "ssm:resourceTag/ami-action:repository"
      values   = [var.repository]
    }
  }

  # Only this role: to pass a role to an instance of one's own is to have that role.
  statement {
    sid       = "PassTestRole"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.test_instance.arn]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = [local.ec2]
    }
  }

  dynamic "statement" {
    for_each = var.adopt ? [1] : []
    content {
      sid     = "AdoptImages"
      actions = ["ec2:CreateTags"]
      resources = [
        "arn:${local.partition}:ec2:*::image/*",
        "arn:${local.partition}:ec2:*::snapshot/*",
      ]
      condition {
        test     = "Null"
        variable = "aws:ResourceTag/ami-action:family"
        values   = ["true"]
      }
      condition {
        test     = "StringEquals"
        variable = "aws:RequestTag/ami-action:family"
        values   = var.families
      }
    }
  }

  dynamic "statement" {
    for_each = var.packer_copies ? [1] : []
    content {
      sid       = "TagCopiesOfPacker"
      actions   = ["ec2:CreateTags"]
      resources = ["arn:${local.partition}:ec2:*::snapshot/*"]
      condition {
        test     = "Null"
        variable = "aws:ResourceTag/ami-action:repository"
        values   = ["true"]
      }
      condition {
        test     = "StringEquals"
        variable = "aws:RequestTag/ami-action:repository"
        values   = [var.repository]
      }
      condition {
        test     = "StringEquals"
        variable = "aws:RequestTag/ami-action:for-family"
        values   = var.families
      }
    }
  }

  dynamic "statement" {
    for_each = length(var.launch_templates) > 0 ? [1] : []
    content {
      sid       = "DeleteUnusedVersions"
      actions   = ["ec2:DeleteLaunchTemplateVersions"]
      resources = [for id in var.launch_templates : "arn:${local.partition}:ec2:*:${local.account}:launch-template/${id}"]
    }
  }

  dynamic "statement" {
    for_each = length(var.consumer_accounts) > 0 ? [1] : []
    content {
      sid       = "Share"
      actions   = ["ec2:ModifyImageAttribute"]
      resources = ["arn:${local.partition}:ec2:*::image/*"]
      condition {
        test     = "StringEquals"
        variable = "aws:ResourceTag/ami-action:family"
        values   = var.families
      }
    }
  }

  dynamic "statement" {
    for_each = length(var.consumer_accounts) > 0 ? [1] : []
    content {
      sid       = "ShareSnapshots"
      actions   = ["ec2:ModifySnapshotAttribute"]
      resources = ["arn:${local.partition}:ec2:*::snapshot/*"]
      condition {
        test     = "StringEquals"
        variable = "aws:ResourceTag/ami-action:family"
        values   = var.families
      }
      condition {
        test     = "ForAllValues:StringEquals"
        variable = "ec2:Add/userId"
        values   = var.consumer_accounts
      }
    }
  }

  # https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
  dynamic "statement" {
    for_each = length(var.keys) > 0 ? [1] : []
    content {
      sid = "UseKeys"
      actions = [
        "kms:Decrypt",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
      ]
      resources = var.keys
      condition {
        test     = "StringLike"
        variable = "kms:ViaService"
        values   = ["ec2.*"]
      }
    }
  }

  dynamic "statement" {
    for_each = length(var.keys) > 0 ? [1] : []
    content {
      sid       = "GrantKeys"
      actions   = ["kms:CreateGrant"]
      resources = var.keys
      condition {
        test     = "Bool"
        variable = "kms:GrantIsForAWSResource"
        values   = ["true"]
      }
      condition {
        test     = "StringLike"
        variable = "kms:ViaService"
        values   = ["ec2.*"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.verdict_key == "" ? [] : [1]
    content {
      sid = "SignVerdicts"
      actions = [
        "kms:GenerateMac",
        "kms:VerifyMac",
      ]
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

# list, resolve, doctor
data "aws_iam_policy_document" "read_trust" {
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
      test     = "StringLike"
      variable = "token.actions.githubusercontent.com:sub"
      values   = [for ref in local.refs : "${local.subject}:ref:${ref}"]
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

  dynamic "statement" {
    for_each = var.pull_requests != "none" ? [1] : []
    content {
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
        values   = ["${local.subject}:pull_request"]
      }
    }
  }

  dynamic "statement" {
    for_each = length(var.readers) > 0 ? [1] : []
    content {
      actions = ["sts:AssumeRole"]
      principals {
        type        = "AWS"
        identifiers = var.readers
      }
    }
  }
}

resource "aws_iam_role" "read" {
  name               = "${var.name}-read"
  assume_role_policy = data.aws_iam_policy_document.read_trust.json
}

resource "aws_iam_role_policy" "read" {
  name   = "read"
  role   = aws_iam_role.read.id
  policy = data.aws_iam_policy_document.read.json
}

data "aws_iam_policy_document" "read" {
  statement {
    sid       = "Simulate" # doctor
    actions   = ["iam:SimulatePrincipalPolicy", "iam:GetRole"]
    resources = ["arn:${local.partition}:iam::${local.account}:role/${var.name}-read"]
  }

  statement {
    sid       = "Inspect" # doctor
    actions   = ["ec2:DescribeSnapshots", "ec2:GetAllowedImagesSettings", "kms:DescribeKey"]
    resources = ["*"]
  }

  statement {
    sid = "Read"
    actions = [
      # <read>
      "autoscaling:DescribeAutoScalingGroups",
      "autoscaling:DescribeInstanceRefreshes",
      "autoscaling:DescribeLaunchConfigurations",
      "autoscaling:DescribeScalingActivities",
      "ec2:DescribeFleets",
      "ec2:DescribeImages",
      "ec2:DescribeInstances",
      "ec2:DescribeLaunchTemplateVersions",
      "ec2:DescribeSpotFleetRequests",
      "ec2:DescribeSpotInstanceRequests",
      "ec2:DescribeTags",
      "ssm:DescribeParameters",
      "ssm:GetParameter",
      "ssm:GetParameterHistory",
      "ssm:GetParameters",
      # </read>
    ]
    resources = ["*"]
  }

  # promote as a dry run, for the preview of a pull request. It changes nothing, so a stack gets no change set, and the plan says so.
  dynamic "statement" {
    for_each = var.pull_requests != "none" ? [1] : []
    content {
      sid = "Preview"
      actions = [
        "autoscaling:DescribeLifecycleHooks",
        "autoscaling:DescribePolicies",
        "autoscaling:DescribeScheduledActions",
        "autoscaling:DescribeWarmPool",
        "cloudwatch:DescribeAlarms",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeLaunchTemplates",
        "eks:DescribeNodegroup",
        "eks:DescribeUpdate",
        "eks:ListUpdates",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:DescribeTargetGroupAttributes",
        "elasticloadbalancing:DescribeTargetGroups",
        "route53:ListResourceRecordSets",
      ]
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = var.pull_requests != "none" && length(var.stacks) > 0 ? [1] : []
    content {
      sid       = "PreviewStacks"
      actions   = ["cloudformation:DescribeStackEvents", "cloudformation:DescribeStacks", "cloudformation:GetTemplate"]
      resources = [for name in var.stacks : "arn:${local.partition}:cloudformation:*:${local.account}:stack/${name}/*"]
    }
  }

  dynamic "statement" {
    for_each = var.pull_requests != "none" && var.verdict_key != "" ? [1] : []
    content {
      sid       = "PreviewVerdicts"
      actions   = ["kms:VerifyMac"]
      resources = [var.verdict_key]
    }
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
}

# What an SSM agent needs, without ssm:GetParameter: whatever a branch puts into its image or its checks runs as root with this role.
data "aws_iam_policy_document" "test_instance_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = [local.ec2]
    }
  }
}

resource "aws_iam_role" "test_instance" {
  name               = "${var.name}-test"
  assume_role_policy = data.aws_iam_policy_document.test_instance_trust.json
}

resource "aws_iam_role_policy" "test_instance" {
  name   = "agent"
  role   = aws_iam_role.test_instance.id
  policy = data.aws_iam_policy_document.test_instance.json
}

# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonSSMManagedEC2InstanceDefaultPolicy.html
data "aws_iam_policy_document" "test_instance" {
  statement {
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

resource "aws_iam_instance_profile" "test_instance" {
  name = "${var.name}-test"
  role = aws_iam_role.test_instance.name
}

output "images_role" {
  description = "role-to-assume of build, validate, share, prune, delete and adopt"
  value       = aws_iam_role.images.arn
}

output "read_role" {
  description = "role-to-assume of list, resolve and doctor, and from-role of other accounts"
  value       = aws_iam_role.read.arn
}

output "instance_profile" {
  value = aws_iam_instance_profile.test_instance.name
}
