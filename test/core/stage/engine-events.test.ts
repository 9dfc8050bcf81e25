// What engines report of their work, as JSON events and in logs. Every line is as tofu 1.12.6 or terraform 1.5.7 or 1.11.4 prints it.
import { describe, expect, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { fromErrors, fromEvent, fromLog } from "../../../src/core/stage/engine-events.ts"
import { longestIdentity } from "../../../src/schema/api/effects.ts"

const event = (type: string, hook: Record<string, unknown>) =>
  JSON.stringify({
    "@level": "info",
    "@message": "…",
    "@module": "tofu.ui",
    "@timestamp": "2026-11-25T14:30:00.000000Z",
    hook: { resource: { addr: `time_sleep.a["x"]`, module: "", resource_type: "time_sleep", resource_key: "x" }, ...hook },
    type
  })

const unanswered = {
  severity: "error",
  summary: "Plugin did not respond",
  detail:
    "The plugin encountered an error, and failed to respond to the plugin.(*GRPCProvider).ApplyResourceChange call. The plugin logs may contain more details.",
  address: `time_sleep.a["x"]`,
  range: { filename: "main.tf", start: { line: 7, column: 32, byte: 147 }, end: { line: 7, column: 33, byte: 148 } },
  snippet: { context: null, code: `resource "time_sleep" "a" { triggers = { by = "apply_start" }`, values: [] }
}
const diagnosed = (diagnostic: Record<string, unknown>) =>
  JSON.stringify({ "@level": "error", "@message": "Error: Plugin did not respond", "@module": "tofu.ui", diagnostic, type: "diagnostic" })

describe("fromEvent", () => {
  it.each([
    {
      given: "a beginning",
      line: event("apply_start", { action: "create" }),
      told: { kind: "started", action: "create", address: `time_sleep.a["x"]` }
    },
    {
      given: "an end",
      line: event("apply_complete", { action: "create", id_key: "id", id_value: "2026", elapsed_seconds: 1 }),
      told: { kind: "done", action: "create", address: `time_sleep.a["x"]`, idKey: "id", id: "2026" }
    },
    {
      given: "a failure",
      line: event("apply_errored", { action: "update", elapsed_seconds: 1 }),
      told: { kind: "failed", action: "update", address: `time_sleep.a["x"]` }
    },
    {
      given: "a destruction",
      line: event("apply_start", { action: "delete", id_key: "id", id_value: "2026" }),
      told: { kind: "started", action: "delete", address: `time_sleep.a["x"]`, idKey: "id", id: "2026" }
    },
    {
      given: "what a terminal would heed",
      line: event("apply_complete", { action: "create", resource: { addr: "a.b\u001b[2J" }, id_key: "id", id_value: "\u001b[2J" }),
      told: { kind: "done", action: "create", address: "a.b[2J" }
    },
    {
      given: "that a provider gave no answer to what may have made something",
      line: diagnosed(unanswered),
      told: { kind: "failed", action: "create", address: `time_sleep.a["x"]`, unanswered: true }
    },
    {
      given: "a name of an id that is too long",
      line: event("apply_complete", { action: "create", id_key: "k".repeat(longestIdentity.idKey + 1), id_value: "1" }),
      told: { kind: "done", action: "create", address: `time_sleep.a["x"]` }
    },
    {
      given: "an id that is as long as it may be",
      line: event("apply_complete", { action: "create", id_key: "id", id_value: "y".repeat(longestIdentity.id) }),
      told: { kind: "done", action: "create", address: `time_sleep.a["x"]`, idKey: "id", id: "y".repeat(longestIdentity.id) }
    },
    {
      given: "an id that is too long",
      line: event("apply_complete", { action: "create", id_key: "id", id_value: "y".repeat(1025) }),
      told: { kind: "done", action: "create", address: `time_sleep.a["x"]` }
    }
  ])("reads $given", ({ line, told }) => expect(fromEvent(line)).toEqual(Option.some(told)))

  it.each([
    ["a read of a data source", event("apply_start", { action: "read" })],
    ["progress", event("apply_progress", { action: "create", elapsed_seconds: 10 })],
    [
      "output of a provisioner that looks like an event",
      JSON.stringify({ type: "provision_progress", hook: { output: event("apply_complete", { action: "create" }) } })
    ],
    ["an error of a provider that answered", diagnosed({ ...unanswered, detail: "The name is taken." })],
    ["no answer to a plan", diagnosed({ ...unanswered, detail: unanswered.detail.replace("Apply", "Plan") })],
    ["no answer about nothing that is known", diagnosed({ ...unanswered, address: undefined })],
    ["a warning that names the call", diagnosed({ ...unanswered, severity: "warning" })],
    ["a line that was cut off", event("apply_complete", { action: "create" }).slice(0, -3)],
    ["no JSON", `"apply_complete"`],
    ["another shape", `{"type":"apply_complete","hook":{"action":"create","resource":"a.b"}}`]
  ])("passes over %s", (_, line) => expect(fromEvent(line)).toEqual(Option.none()))

  it.prop("never fails, whatever it is given", [Schema.String], ([text]) => {
    expect(Option.isOption(fromEvent(`"apply_${text}`))).toBe(true)
    expect(Option.isOption(fromLog(`${text}: Creating...${text}`))).toBe(true)
  })
})

describe("fromLog", () => {
  it("reads what an engine prints that was told to print events (-json)", () => {
    const line = event("apply_complete", { action: "create", id_key: "id", id_value: "2026", elapsed_seconds: 1 })
    expect(fromLog(line)).toEqual(fromEvent(line))
    expect(Option.isSome(fromLog(line))).toBe(true)
  })

  it.each([
    ["terraform_data.a: Creating...", { kind: "started", action: "create", address: "terraform_data.a" }],
    ["module.m.terraform_data.inm: Creation complete after 0s [id=6661257b-699a-23b0-841f-fc8b081f005b]", {
      kind: "done",
      action: "create",
      address: "module.m.terraform_data.inm",
      idKey: "id",
      id: "6661257b-699a-23b0-841f-fc8b081f005b"
    }],
    [`terraform_data.b["z[id=1]"]: Creation complete after 1m12s [id=5cc730ca]`, {
      kind: "done",
      action: "create",
      address: `terraform_data.b["z[id=1]"]`,
      idKey: "id",
      id: "5cc730ca"
    }],
    [`module.n["a \\"b\\": Creating..."].aws_s3_bucket.c[0]: Modifying... [id=x]`, {
      kind: "started",
      action: "update",
      address: `module.n["a \\"b\\": Creating..."].aws_s3_bucket.c[0]`,
      idKey: "id",
      id: "x"
    }],
    ["aws_s3_bucket.c: Modifications complete after 2s [name=a [b]]", {
      kind: "done",
      action: "update",
      address: "aws_s3_bucket.c",
      idKey: "name",
      id: "a [b]"
    }],
    ["\u001b[0m\u001b[1mterraform_data.c: Destroying... [id=971b26f5-ed8c-bae1-bd66-8f9ead6ae885]\u001b[0m\u001b[0m", {
      kind: "started",
      action: "delete",
      address: "terraform_data.c",
      idKey: "id",
      id: "971b26f5-ed8c-bae1-bd66-8f9ead6ae885"
    }],
    ["terraform_data.c: Destruction complete after 0s", { kind: "done", action: "delete", address: "terraform_data.c" }],
    ["aws_instance.web (deposed object 1a2b3c4d): Destroying... [id=i-1]", {
      kind: "started",
      action: "delete",
      address: "aws_instance.web",
      idKey: "id",
      id: "i-1"
    }]
  ])("reads %s", (line, told) => expect(fromLog(line)).toEqual(Option.some(told)))

  it.each([
    "terraform_data.b: Still creating... [10s elapsed]",
    "terraform_data.c: Provisioning with 'local-exec'...",
    "terraform_data.c (local-exec): terraform_data.z: Creation complete after 0s [id=1]",
    "terraform_data.c (local-exec): Creating...",
    "data.aws_ami.a: Reading...",
    "data.aws_ami.a: Read complete after 0s [id=ami-1]",
    "Apply complete! Resources: 1 added, 0 changed, 0 destroyed.",
    "Creating...",
    `${"a".repeat(60_000)}: creating...`
  ])("passes over %s", (line) => expect(fromLog(line)).toEqual(Option.none()))
})

/** An error in a box, as where it has colours. */
const boxed = (...lines: ReadonlyArray<string>): string =>
  ["\u001b[31m╷\u001b[0m\u001b[0m", ...lines.map((line) => `\u001b[31m│\u001b[0m \u001b[0m${line}`), "\u001b[31m╵\u001b[0m\u001b[0m", ""]
    .join("\n")

const title = (summary: string) => `\u001b[1m\u001b[31mError: \u001b[0m\u001b[0m\u001b[1m${summary}\u001b[0m`
const of = (address: string) => ["", `\u001b[0m  with ${address},`, "  on main.tf line 14, in resource \"time_sleep\" \"last\":", ""]
const noResponse = [
  "The plugin encountered an error, and failed to respond to the",
  "plugin.(*GRPCProvider).ApplyResourceChange call. The plugin logs may contain",
  "more details."
]
const cancelled = "The plugin.(*GRPCProvider).ApplyResourceChange request was cancelled."
const unknownAt = (address: string) => ({ kind: "failed", action: "create", address, unanswered: true })

describe("fromErrors", () => {
  it.each([
    {
      given: "a provider that died, and one that was told to stop",
      log: boxed(title("Plugin did not respond"), ...of(`time_sleep.a["x y"]`), ...noResponse) +
        boxed(title("Request cancelled"), ...of("module.m.time_sleep.b"), cancelled),
      told: [unknownAt(`time_sleep.a["x y"]`), unknownAt("module.m.time_sleep.b")]
    },
    {
      given: "one without a box, as with -no-color",
      log: ["", "Error: Request cancelled", "", "  with time_sleep.a,", "  on main.tf line 14:", "", cancelled, ""].join("\n"),
      told: [unknownAt("time_sleep.a")]
    },
    { given: "a provider that answered", log: boxed(title("The name is taken"), ...of("time_sleep.a"), "It is."), told: [] },
    {
      given: "no answer to a plan",
      log: boxed(title("Request cancelled"), ...of("time_sleep.a"), cancelled.replace("Apply", "Plan")),
      told: []
    },
    {
      given: "an error about no resource, after one about a resource",
      log: boxed(title("The name is taken"), ...of("time_sleep.a")) + boxed(title("Request cancelled"), "", cancelled),
      told: []
    }
  ])("reads of $given", ({ log, told }) => expect(fromErrors(log)).toEqual(told))
})
