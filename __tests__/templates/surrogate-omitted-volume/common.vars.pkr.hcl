database-version = "17.6"
