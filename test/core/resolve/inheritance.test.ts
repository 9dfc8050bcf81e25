// The table of fallbacks agrees with `resolve`, and has every key whose description promises a fallback.
import { describe, expect, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { Result } from "effect"
import { effective, inheritances } from "../../../src/core/resolve/inheritance.ts"
import { resolve } from "../../../src/core/resolve/resolve.ts"
import { merge, type Tree } from "../../../src/schema/document/layers.ts"
import { valueKeys } from "../../../src/schema/values/values-document.ts"
import { appVersion, parseValues, type Values } from "../../../src/schema/values/values.ts"

const valuesOf = (file: Tree): Values => Result.getOrThrow(parseValues(file))
const comesTo = (values: Values, key: string) => effective(values, key.split("."))

/** Values for a key, by the last part of its name. */
const samples: Readonly<Record<string, ReadonlyArray<unknown>>> = {
  token: ["a"],
  tag: ["", "1", "2"],
  repository: ["a/b", "c"],
  pullPolicy: ["Always", "Never"],
  securityContext: [{ runAsUser: 5 }, { runAsUser: 6, privileged: false }],
  extraEnv: [{ A: "1" }, { A: "2", B: "2" }, { C: "3" }],
  podAnnotations: [{ a: "1" }, { a: "2", b: "2" }],
  podLabels: [{ a: "1" }, { a: "2", b: "2" }],
  jobAnnotations: [{ a: "1" }, { b: "2" }],
  jobLabels: [{ a: "1" }, { b: "2" }],
  annotations: [{ a: "3", c: "3" }],
  labels: [{ a: "3", c: "3" }]
}
const keys = [...new Set(Object.entries(inheritances).flatMap(([key, { from }]) => [key, ...from]))]
const nested = ([first = "", ...rest]: ReadonlyArray<string>, value: unknown): Tree => ({
  [first]: rest.length === 0 ? value : nested(rest, value)
})
const Choice = Schema.Struct({ key: Schema.Literals(keys), sample: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })) })
const fileOf = (choices: ReadonlyArray<typeof Choice.Type>): Tree =>
  choices.map(({ key, sample }) => {
    const all = samples[key.split(".").at(-1) ?? ""] ?? []
    return nested(key.split("."), all[sample % all.length])
  }).reduce(merge, {})

describe("what falls back to what", () => {
  it.prop("is what resolve builds with", [Arbitrary.schema(Schema.Array(Choice))], ([choices]) => {
    const values = valuesOf(fileOf(choices))
    const { controller, objectAnnotations, objectLabels, task } = resolve(values, { name: "agent-job", namespace: "agent-job" })
    const containers = [["controller", controller.container], ["task.worker", task.worker], ["task.runner", task.runner]] as const
    for (const [part, container] of containers) {
      const of = (field: string) => String(comesTo(values, `${part}.image.${field}`)?.value ?? values.task.runner.image.repository)
      expect(container.image).toBe(`${of("repository")}:${of("tag")}`)
      expect(container.env).toEqual(comesTo(values, `${part}.extraEnv`)?.value)
      if (part !== "task.runner") {
        expect(container.imagePullPolicy).toBe(comesTo(values, `${part}.image.pullPolicy`)?.value)
        expect({ seLinuxOptions: {}, ...container.securityContext }).toEqual(
          Object.assign({ seLinuxOptions: {} }, comesTo(values, `${part}.securityContext`)?.value)
        )
      }
    }
    for (const [part, { pod }] of [["controller", controller], ["task", task]] as const) {
      expect(pod.annotations).toEqual(comesTo(values, `${part}.podAnnotations`)?.value)
      expect(pod.labels).toEqual(comesTo(values, `${part}.podLabels`)?.value)
    }
    expect({ ...objectAnnotations, ...task.jobAnnotations }).toEqual(comesTo(values, "task.jobAnnotations")?.value)
    expect({ ...objectLabels, ...task.jobLabels }).toEqual(comesTo(values, "task.jobLabels")?.value)
  })

  it("is told for every key whose sentence promises it, and for no other", () => {
    const promised = valueKeys().filter(({ description }) =>
      /empty: (agent\.|the chart)|, over \w+\.extraEnv|they override those of|^Token of the agent pool/u.test(description)
    ).map(({ key }) => key)
    expect(Object.keys(inheritances).filter((key) => (inheritances[key]?.from.length ?? 0) > 0 || key.endsWith(".tag")).sort()).toEqual(
      promised.sort()
    )
  })

  it.each([
    {
      given: "an own tag",
      file: { task: { worker: { image: { tag: "2" } } } },
      key: "task.worker.image.tag",
      value: "2",
      from: ["task.worker.image.tag"]
    },
    {
      given: "the agent's tag",
      file: { agent: { image: { tag: "1" } } },
      key: "task.worker.image.tag",
      value: "1",
      from: ["agent.image.tag"]
    },
    { given: "no tag", file: {}, key: "task.worker.image.tag", value: appVersion, from: ["the chart's application version"] },
    {
      given: "no tag of the runner, which stands alone",
      file: { agent: { image: { tag: "1" } } },
      key: "task.runner.image.tag",
      value: appVersion,
      from: ["the chart's application version"]
    },
    {
      given: "a part of a whole that is another's",
      file: { agent: { securityContext: { runAsUser: 7 } } },
      key: "controller.securityContext.runAsUser",
      value: 7,
      from: ["agent.securityContext"]
    },
    {
      given: "a part that an own whole lacks",
      file: { controller: { securityContext: { runAsGroup: 1 } } },
      key: "controller.securityContext.runAsUser",
      value: undefined,
      from: ["controller.securityContext"]
    },
    {
      given: "the other spelling of the token",
      file: { agent: { auth: { token: "a" } } },
      key: "agent.token",
      value: "a",
      from: ["agent.auth.token"]
    },
    {
      given: "a variable of all",
      file: { global: { extraEnv: { A: "g" } } },
      key: "task.runner.extraEnv.A",
      value: "g",
      from: ["global.extraEnv"]
    },
    { given: "a variable that nobody sets", file: {}, key: "task.runner.extraEnv.A", value: undefined, from: [] }
  ])("gives for $given: $value", ({ file, from, key, value }) => expect(comesTo(valuesOf(file), key)).toEqual({ value, from }))

  it("is nothing for a key that stands alone", () => expect(comesTo(valuesOf({}), "task.limits.total")).toBeUndefined())
})
