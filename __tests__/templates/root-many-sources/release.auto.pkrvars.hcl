release       = "20261101"
agent_version = "1.89.0"
