# A launch template that reads the pointer at every launch: for single machines and fleets that nobody rolls. What is running stays as it is until
# it is replaced; a scale-out gets the new image as soon as the pointer moves. For groups that are rolled and proven see ../main.tf.
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
