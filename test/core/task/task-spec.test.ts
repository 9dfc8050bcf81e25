// What the controller keeps of a spec in memory, and that nothing of the spec is lost when another task is made of it.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { isJobOfStored, withoutTexts, withTextsOf } from "../../../src/core/task/task-spec.ts"
import { templateRefusal } from "../../../src/core/task/template-keys.ts"
import { unknownOption } from "../../../src/core/task/unknown-option.ts"
import type { AgentTaskSpec } from "../../../src/schema/task/agent-task.ts"
import { fullTask, taskOf } from "../configs.ts"

const secret = { name: "token", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }
const addresses = { targets: ["a.b"], replace: ["a.c"], refresh: false }
const specs = [
  { given: "all that there can be", spec: fullTask().spec },
  {
    given: "variables, a backend and options",
    spec: taskOf({
      source: { configMap: { name: "a" } },
      variables: [{ name: "a", value: "1" }, secret],
      backend: { type: "s3", config: { bucket: "b" } },
      options: addresses
    }).spec
  },
  { given: "none of these", spec: taskOf({ source: { configMap: { name: "a" } } }).spec }
]
const cached = (spec: AgentTaskSpec) => withoutTexts({ spec, status: {} })

it.each(specs)("has back what was left out of a spec with $given, once it is joined with the stored one", ({ spec }) => {
  const { source } = spec
  expect(withTextsOf(spec, { ...cached(spec), source })).toEqual(spec)
})

it("gives an apply none of the options of its plan", () => {
  const { spec } = taskOf({ source: { configMap: { name: "a" } }, options: addresses })
  const { options: _, ...apply } = cached(spec)
  expect(withTextsOf(spec, apply)).not.toHaveProperty("options")
})

it("leaves out what no decision needs, and not that it was there", () => {
  const { spec } = taskOf({
    source: { inline: { "main.tf": "a" } },
    variables: [{ name: "a", value: "1" }, secret],
    backend: { type: "s3", config: { bucket: "b" } },
    options: addresses
  })
  expect(cached(spec)).toEqual({
    ...spec,
    source: { inline: {} },
    variables: [],
    backend: { type: "s3", config: {} },
    options: {}
  })
})

it.each(specs)("keeps each key of a spec with $given, and keeps no more when it is done again", ({ spec }) => {
  const kept = cached(spec)
  expect(Object.keys(kept)).toEqual(Object.keys(spec))
  expect(cached(kept)).toEqual(kept)
})

it.each([
  { given: "a template", spec: { jobTemplate: { nodeSelector: { a: "b" } } }, isRead: true },
  { given: "variables", spec: { variables: [secret] }, isRead: true },
  {
    given: "a backend and options, which are for the worker",
    spec: { backend: { type: "s3", config: { a: "b" } }, options: addresses },
    isRead: false
  }
])(
  "says whether a Job has what is not cached, of a task with $given: $isRead",
  ({ isRead, spec }) => expect(isJobOfStored(cached(taskOf(spec).spec))).toBe(isRead)
)

describe("what is cached of a task", () => {
  const keys = { "z.io/b": "2", plain: "3", "z.io/a": "1" }
  it.each([
    { labels: keys },
    { annotations: keys },
    { runner: { image: "a", resources: { limits: keys } } },
    { runner: { resources: { requests: keys } } },
    { nodeSelector: keys },
    { labels: { [`${"z".repeat(253)}/${"k".repeat(63)}`]: "the longest key that a label may have" } },
    { labels: { plain: "1" }, volumeClaims: [{ claimName: "a", mountPath: "/a" }] }
  ])("is refused for its template as what is stored is: %j", (jobTemplate) => {
    const task = taskOf({ jobTemplate })
    for (const allowed of [[], ["z.io/a"], ["z.io/"]]) {
      expect(templateRefusal({ ...task, spec: cached(task.spec) }, allowed)).toBe(templateRefusal(task, allowed))
    }
  })

  it.each([
    { asked: { options: { ...addresses, excludes: ["x".repeat(60_000)] } }, key: "options.excludes" },
    { asked: { engine: { name: "tofu", mirror: "x".repeat(60_000) } }, key: "engine.mirror" }
  ])("is refused for a key that only a newer version knows, of which it has the name alone: $key", ({ asked, key }) => {
    const { spec } = taskOf({ source: { configMap: { name: "a" } }, ...asked })
    expect(unknownOption(cached(spec), "controller")).toEqual(Option.some(expect.stringContaining(key)))
    expect(JSON.stringify(cached(spec))).not.toContain("xx")
    expect(withTextsOf(spec, cached(spec))).toEqual(spec)
  })

  const names = (count: number, length: number, letter: string, prefix = "") =>
    Array.from({ length: count }, (_, index) => `${prefix}${index}${letter.repeat(length)}`.slice(0, length))
  const map = (count: number, key: number, value: number, letter: string) =>
    Object.fromEntries(names(count, key, letter, "a/").map((name) => [name, letter.repeat(value)]))
  /** Returns a task of which everything is as large as the API server takes it, in letters of one or of two bytes. */
  const largest = (letter: string) =>
    taskOf({
      workspace: "w".repeat(90),
      source: { archive: { url: letter.repeat(2048), sha256: "a".repeat(64) } },
      engine: { name: "tofu", version: letter.repeat(32) },
      workingDirectory: letter.repeat(512),
      savePlan: { claimName: "a".repeat(253) },
      options: { targets: names(64, 512, letter), replace: names(64, 512, letter) },
      variables: names(128, 253, "n", "v").map((name) => ({
        name,
        valueFrom: { secretKeyRef: { name: "s".repeat(253), key: "k".repeat(253) } }
      })),
      backend: { type: letter.repeat(64), config: map(32, 128, 4096, letter) },
      jobTemplate: {
        runner: { image: letter.repeat(512), resources: { limits: map(8, 317, 32, letter), requests: map(8, 317, 32, letter) } },
        nodeSelector: map(32, 317, 1024, letter),
        annotations: map(32, 317, 1024, letter),
        labels: map(32, 317, 1024, letter),
        volumeClaims: names(4, 253, "c", "c").map((claimName) => ({ claimName, mountPath: `/${letter.repeat(511)}` }))
      }
    })
  const kibibytes = (value: object) => Buffer.byteLength(JSON.stringify(value)) / 1024
  it.each([
    { letter: "x", phase: "Pending", most: 30 },
    { letter: "ж", phase: "Pending", most: 60 },
    { letter: "x", phase: "Cancelled", most: 4 },
    { letter: "ж", phase: "Cancelled", most: 8 }
  ])("is bounded, however large the task is: in letters like $letter, $phase, at most $most KiB", ({ letter, most, phase }) => {
    const { spec } = largest(letter)
    expect(kibibytes(spec)).toBeGreaterThan(300)
    expect(kibibytes(withoutTexts({ spec, status: { phase } }))).toBeLessThan(most)
  })

  it("has no key that an earlier CRD took and no Job can have", () => {
    const long = { [`a/${"x".repeat(42_000)}`]: "" }
    const { spec } = taskOf({
      jobTemplate: { nodeSelector: long, annotations: long, labels: long, runner: { resources: { limits: long } } }
    })
    expect(kibibytes(cached(spec))).toBeLessThan(1)
  })
})
