output "cards" {
  description = "What each card says, by recipient."
  value       = module.card.texts
}

output "created_at" {
  description = "When the first run made this, in RFC 3339."
  value       = time_static.created.rfc3339
}

output "session" {
  description = "Made from the password, so it is hidden wherever outputs are printed."
  value       = terraform_data.session.output
  sensitive   = true
}
