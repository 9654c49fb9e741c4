source "null" "other-11" {
  communicator = "none"
}

build {
  sources = ["source.null.other-11"]

  post-processor "shell-local" {
    inline = ["echo 11"]
  }
}
