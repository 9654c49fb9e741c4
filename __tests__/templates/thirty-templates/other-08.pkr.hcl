source "null" "other-08" {
  communicator = "none"
}

build {
  sources = ["source.null.other-08"]

  post-processor "shell-local" {
    inline = ["echo 8"]
  }
}
