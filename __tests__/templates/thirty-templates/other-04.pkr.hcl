source "null" "other-04" {
  communicator = "none"
}

build {
  sources = ["source.null.other-04"]

  post-processor "shell-local" {
    inline = ["echo 4"]
  }
}
