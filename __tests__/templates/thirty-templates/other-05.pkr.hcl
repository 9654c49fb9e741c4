source "null" "other-05" {
  communicator = "none"
}

build {
  sources = ["source.null.other-05"]

  post-processor "shell-local" {
    inline = ["echo 5"]
  }
}
