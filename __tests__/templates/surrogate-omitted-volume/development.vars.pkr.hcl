environment       = "dev"
ami_regions       = []
ansible_arguments = "--skip-tags nothing"
