variable "greeting" {
  description = "What the cards say. Change it for a second run: --var greeting=goodbye"
  type        = string
  default     = "hello"

  validation {
    condition     = length(var.greeting) > 0
    error_message = "A card must say something; give greeting at least one letter."
  }
}

variable "recipients" {
  description = "Who gets a card, each by name."
  type        = set(string)
  default     = ["ada", "grace"]
}

variable "password" {
  description = "A secret, to see that it is shown nowhere. Its value in terraform.tfvars protects nothing."
  type        = string
  sensitive   = true
}
