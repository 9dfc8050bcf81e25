// OpenTofu configurations that the end-to-end tests run, each as small as its purpose allows.
// They need no provider but the built-in one and hashicorp/time, which scripts/install has tasks take from the runner's image.
import type { Files } from "./product.ts"

const time = `
terraform {
  required_providers {
    time = { source = "hashicorp/time" }
  }
}
`

/** Has two resources, a variable, a sensitive output and one that is not sensitive. */
export const greeting: Files = {
  "main.tf": `
variable "greeting" { default = "hello" }
resource "terraform_data" "greeting" { input = var.greeting }
resource "terraform_data" "secret" { input = sensitive("hush-\${var.greeting}") }
output "greeting" { value = terraform_data.greeting.output }
output "secret" {
  value     = terraform_data.secret.output
  sensitive = true
}
`
}

/** The sensitive value of `greeting`. */
export const hushed = "hush-hello"

/** Makes one resource at once, a second one that takes `seconds`, and then a third. */
export const slowApply = (seconds: number): Files => ({
  "main.tf": `${time}
resource "terraform_data" "first" { input = "made" }
resource "time_sleep" "second" {
  create_duration = "${seconds}s"
  depends_on      = [terraform_data.first]
}
resource "terraform_data" "third" {
  input      = "made as well"
  depends_on = [time_sleep.second]
}
output "first" { value = terraform_data.first.output }
`
})

/** What the log says once `slowApply` is at its second resource. */
export const slowly = "time_sleep.second: Creating..."

/** Makes one resource at once, a second one when the test releases it, and then a third. */
export const heldApply: Files = {
  "main.tf": `
resource "terraform_data" "first" { input = "made" }
resource "terraform_data" "second" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" {
    command = "until [ -e /tmp/released ]; do sleep 0.1; done"
  }
}
resource "terraform_data" "third" {
  input      = "made as well"
  depends_on = [terraform_data.second]
}
output "first" { value = terraform_data.first.output }
`
}

/** What the log says once `heldApply` waits to be released. */
export const held = "terraform_data.second: Provisioning with 'local-exec'"

/** Makes one resource, whose destroy waits until the test releases it. */
export const heldDestroy: Files = {
  "main.tf": `
resource "terraform_data" "kept" {
  provisioner "local-exec" {
    when    = destroy
    command = "until [ -e /tmp/released ]; do sleep 0.1; done"
  }
}
`
}

/** What the log says once the destroy of `heldDestroy` waits to be released. */
export const heldBack = "terraform_data.kept: Provisioning with 'local-exec'"

/** Fails while it is applied, after one resource was made. */
export const failingApply: Files = {
  "main.tf": `
resource "terraform_data" "first" { input = "made" }
resource "terraform_data" "second" {
  input = "never"
  provisioner "local-exec" {
    command = "echo the hook ran; exit 3"
  }
  depends_on = [terraform_data.first]
}
`
}

/** Runs the script in the runner while it is applied. The script has a file of its own, so that its quotes stay as they are. */
export const scripted = (script: string): Files => ({
  "main.tf":
    `resource "terraform_data" "script" {\n  provisioner "local-exec" {\n    command = file("\${path.module}/script.sh")\n  }\n}\n`,
  "script.sh": script
})

/** Returns a configuration of one file as the source of an AgentTask. */
export const inline = (content: string) => ({ inline: { "main.tf": content } })

export const harmless = inline("resource \"terraform_data\" \"one\" {}\n")
