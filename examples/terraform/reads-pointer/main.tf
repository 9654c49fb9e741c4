# A launch template that reads the pointer at every launch: for single instances and groups without rollouts. Running instances keep their
# image; a scale-out gets the new one as soon as the pointer moves. For groups with rollouts see ../main.tf.
#
#   mode: promote
#   family: web
#   environment: stage
#   strategy: none

# The pointer must exist, so the first promotion comes first.
resource "aws_launch_template" "web" {
  name          = "web-reads-pointer"
  image_id      = "resolve:ssm:/ami/web/stage"
  instance_type = "t3.micro"
}

output "launch_template_id" {
  value = aws_launch_template.web.id
}
