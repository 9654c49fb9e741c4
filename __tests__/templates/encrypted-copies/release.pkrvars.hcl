ami_regions     = ["us-west-2"]
release_tag     = "v4.2.0"
region_kms_keys = { us-west-2 = "alias/desktop-images" }
