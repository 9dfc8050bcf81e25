# A first run: a provider plugin, a local module, a sensitive variable, outputs, and resources that need no account anywhere.
# Where the state is kept is not said here: whoever runs it decides.
terraform {
  required_version = ">= 1.6"
  required_providers {
    time = {
      source  = "hashicorp/time"
      version = ">= 0.11"
    }
  }
}

# When this was first made; a later run leaves it as it is.
resource "time_static" "created" {}

# Takes a moment, as real resources do, and only when it is made.
resource "time_sleep" "moment" {
  create_duration  = "2s"
  destroy_duration = "1s"
}

module "card" {
  source     = "./modules/card"
  greeting   = var.greeting
  recipients = var.recipients
  depends_on = [time_sleep.moment]
}

resource "terraform_data" "session" {
  input = sha256(var.password)
}
