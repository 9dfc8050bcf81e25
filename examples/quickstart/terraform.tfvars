password = "not-a-secret"
