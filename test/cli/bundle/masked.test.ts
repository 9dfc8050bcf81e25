// What an object of the cluster is without what may be secret in it.
import { describe, expect, it } from "vitest"
import { masked } from "../../../src/cli/bundle/masked.ts"

describe("an object that is given to somebody else", () => {
  it("keeps the names of variables and where their values come from, but no value", () => {
    const secret = { name: "TOKEN", valueFrom: { secretKeyRef: { name: "s", key: "token" } } }
    expect(masked({ spec: { containers: [{ name: "worker", image: "i:1", env: [{ name: "PASSWORD", value: "hunter2" }, secret] }] } }))
      .toEqual({
        spec: { containers: [{ name: "worker", image: "i:1", env: [{ name: "PASSWORD", value: "(masked)" }, secret] }] }
      })
    expect(masked({ spec: { variables: [{ name: "a", value: "hunter2", sensitive: true }, { name: "b", value: "x", hcl: true }] } }))
      .toEqual({
        spec: { variables: [{ name: "a", value: "(masked)", sensitive: true }, { name: "b", value: "(masked)", hcl: true }] }
      })
  })

  it("says of a toleration what it tolerates, since that is no variable", () => {
    const tolerations = [{ key: "gpu", operator: "Equal", value: "yes", effect: "NoSchedule" }]
    expect(masked({ tolerations })).toEqual({ tolerations })
  })

  it("has no arguments, no settings of a backend and no files of a task", () => {
    expect(masked({
      command: ["sh", "-c", "login hunter2"],
      args: ["--token=hunter2"],
      source: { inline: { "main.tf": "password = \"hunter2\"" } },
      backend: { type: "pg", config: { conn_str: "hunter2" } }
    })).toEqual({
      command: ["(masked)", "(masked)", "(masked)"],
      args: ["(masked)"],
      source: { inline: { "main.tf": "(masked)" } },
      backend: { type: "pg", config: { conn_str: "(masked)" } }
    })
  })

  it.each([
    "kubectl.kubernetes.io/last-applied-configuration",
    "kapp.k14s.io/original",
    "kapp.k14s.io/original-diff",
    "objectset.rio.cattle.io/applied",
    "banzaicloud.com/last-applied",
    "kopf.zalando.org/last-handled-configuration"
  ])("has neither the copy of it that is in %s nor the bookkeeping of the API server", (copy) => {
    const annotations = { [copy]: "{\"value\":\"hunter2\"}", team: "blue", "kapp.k14s.io/identity": "v1;default/scalr.io/AgentTask/one" }
    const { [copy]: _, ...left } = annotations
    expect(masked({ metadata: { name: "one", annotations, managedFields: [{ manager: "kubectl" }] } })).toEqual({
      metadata: { name: "one", annotations: left }
    })
  })

  it.each([
    ["https://ada:hunter2@example.com/a.tar.gz", "https://(masked)@example.com/a.tar.gz"],
    ["https://hunter2@example.com/a", "https://(masked)@example.com/a"],
    ["https://s3.example.com/a.tar.gz?X-Amz-Signature=hunter2", "https://s3.example.com/a.tar.gz?(masked)"],
    ["https://ada:hunter2@example.com/a?sig=hunter2", "https://(masked)@example.com/a?(masked)"],
    [
      "pulling https://ada:hunter2@r.example.com/x failed: get https://r.example.com/x?t=hunter2 said 401",
      "pulling https://(masked)@r.example.com/x failed: get https://r.example.com/x?(masked) said 401"
    ],
    ["https://example.com/http://ada:hunter2@b?sig=hunter2", "https://example.com/http://(masked)@b?(masked)"],
    ["https://example.com/@scope/a", "https://example.com/@scope/a"]
  ])("has no login and no signature in the URL of %j", (given, left) => {
    expect(masked({ note: given })).toEqual({ note: left })
  })

  it.each([["a-"], ["a://"], ["a://b@"]])("is made of a text of a megabyte in good time: %j again and again", (part) => {
    const text = part.repeat(1_000_000 / part.length)
    expect(masked({ note: text })).toEqual({ note: text.replaceAll("b@", "(masked)@") })
  })
})
