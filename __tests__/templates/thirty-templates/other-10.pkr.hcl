source "null" "other-10" {
  communicator = "none"
}

build {
  sources = ["source.null.other-10"]

  post-processor "shell-local" {
    inline = ["echo 10"]
  }
}
