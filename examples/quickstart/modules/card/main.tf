# One card for each recipient.
variable "greeting" {
  type = string
}

variable "recipients" {
  type = set(string)
}

resource "terraform_data" "card" {
  for_each = var.recipients
  input    = "${var.greeting}, ${each.value}"
}

output "texts" {
  value = { for name, card in terraform_data.card : name => card.output }
}
