// What Kubernetes would refuse in every Pod is reported for the values already, with the key.
import { describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { place } from "../../../src/core/task/places.ts"
import { parseValues } from "../../../src/schema/values/values.ts"
import { cases } from "./pod-rules.ts"

const problems = (file: object) => Result.match(parseValues(file), { onFailure: (_) => _, onSuccess: () => [] })

describe("what Kubernetes would refuse", () => {
  it.each(cases)("is told for $given", ({ right, says, wrong }) => {
    expect(problems(wrong)).toEqual([expect.stringContaining(says)])
    expect(problems(right)).toEqual([])
  })
  it("is nothing in the defaults", () => expect(problems({})).toEqual([]))
  it("is told once where two containers inherit it, at the key that they inherit", () =>
    expect(problems({ agent: { securityContext: { privileged: true } } })).toEqual([
      expect.stringMatching(/^agent\.securityContext\.privileged: /u)
    ]))
  it("is told of a root at the key that says it: the agent's for who inherits that, and the container's own", () => {
    const root = { securityContext: { runAsUser: 0, runAsNonRoot: true } }
    for (const part of ["agent", "controller"]) {
      expect(problems({ [part]: root })).toEqual([
        expect.stringMatching(new RegExp(`^${part}\\.securityContext\\.runAsUser: is root`, "u"))
      ])
    }
  })
  it.each(Object.entries(place).filter(([name]) => !name.startsWith("server")))( // those are in the Pod of the server
    "is told for the shared volume at our own place %s",
    (_, path) => expect(problems({ agent: { dataDir: `${path}/` } })).toEqual([expect.stringMatching(/^agent\.dataDir: /u)])
  )
  it.each([
    { given: "1e3", limit: "1k" },
    { given: "1000m", limit: 1 },
    { given: "1Ki", limit: 1024 },
    { given: "0.5Gi", limit: "512Mi" },
    { given: "1500u", limit: "1.5m" }
  ])(
    "counts $given as no more than $limit",
    ({ given, limit }) =>
      expect(problems({ controller: { resources: { requests: { "ephemeral-storage": given }, limits: { "ephemeral-storage": limit } } } }))
        .toEqual([])
  )
})
