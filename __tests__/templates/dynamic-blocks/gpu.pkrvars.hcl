ami_name_prefix = "custom-gpu"
flavour         = "gpu"
