// Which keys a task's template may set, and what its author is told of another one.
import { describe, expect, it } from "@effect/vitest"
import { templateRefusal } from "../../../src/core/task/template-keys.ts"
import { taskOf } from "../configs.ts"

const allowed = ["example.com/", "sidecar.istio.io/inject"]
const told = (part: string | undefined, key: string) =>
  `spec.jobTemplate.${part} has the key ${key}, which is not among the allowed keys (task.allowedKeys); add it there and, with component admission, write its policies anew, or make the task without it.`
const refusal = (jobTemplate: object, keys: ReadonlyArray<string> = allowed) => templateRefusal(taskOf({ jobTemplate }), keys)

describe("a task's template", () => {
  it.each([
    { given: "nothing", jobTemplate: {} },
    { given: "a key without a prefix", jobTemplate: { labels: { team: "a" }, annotations: { "purpose.of": "b" } } },
    { given: "an allowed key", jobTemplate: { labels: { "sidecar.istio.io/inject": "false" } } },
    { given: "a key of an allowed prefix", jobTemplate: { annotations: { "example.com/team": "a" } } },
    { given: "any key of a node", jobTemplate: { nodeSelector: { "topology.kubernetes.io/zone": "a" } } },
    {
      given: "what every node has",
      jobTemplate: { runner: { resources: { limits: { cpu: "2" }, requests: { "ephemeral-storage": "1Gi" } } } }
    },
    { given: "an allowed resource", jobTemplate: { runner: { resources: { limits: { "example.com/fuse": "1" } } } } }
  ])("may set $given", ({ jobTemplate }) => expect(refusal(jobTemplate)).toBeUndefined())

  it.each([
    {
      given: "a webhook's annotation",
      jobTemplate: { annotations: { "sidecar.istio.io/userVolume": "[]" } },
      key: "sidecar.istio.io/userVolume"
    },
    {
      given: "a key that begins as an allowed one",
      jobTemplate: { labels: { "sidecar.istio.io/injected": "" } },
      key: "sidecar.istio.io/injected"
    },
    { given: "a prefix that ends as an allowed one", jobTemplate: { labels: { "evil-example.com/a": "" } }, key: "evil-example.com/a" },
    { given: "a prefix without a dot", jobTemplate: { labels: { "team/a": "" } }, key: "team/a" },
    { given: "the first of several", jobTemplate: { labels: { "z.io/b": "", "example.com/a": "", "z.io/a": "" } }, key: "z.io/a" }
  ])("may not set $given", ({ jobTemplate, key }) => {
    const [part] = Object.keys(jobTemplate)
    expect(refusal(jobTemplate)).toBe(told(part, key))
  })

  it.each(["limits", "requests"])("may not set a device among the %s of its runner", (kind) => {
    const resources = { [kind]: { cpu: "1", "nvidia.com/gpu": "1" } }
    expect(refusal({ runner: { resources } })).toBe(told(`runner.resources.${kind}`, "nvidia.com/gpu"))
  })

  it("may set no key with a prefix where the values allow none", () =>
    expect(refusal({ annotations: { "example.com/team": "a" } }, [])).toMatch(/has the key example\.com\/team,/u))
})
