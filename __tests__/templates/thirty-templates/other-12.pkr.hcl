source "null" "other-12" {
  communicator = "none"
}

build {
  sources = ["source.null.other-12"]

  post-processor "shell-local" {
    inline = ["echo 12"]
  }
}
