// An AgentTask can be decoded exactly when the API server stores it. Otherwise nothing would work on it or say why.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { AgentTask, AgentTaskSpec, Engine, WritableStatus } from "../../../src/schema/task/agent-task.ts"
import { longestMessage, StageResult } from "../../../src/schema/task/stage-result.ts"
import { type Structural, structuralSchema } from "../../../src/schema/task/structural.ts"
import { rule } from "../../simulation/cel.ts"

const accepts = (target: string) =>
  Schema.is(AgentTaskSpec)({ workspace: "demo", stage: "plan", source: { inline: { "main.tf": "" } }, options: { targets: [target] } })

describe("a text of an AgentTask", () => {
  it.each([
    { given: "512 letters", target: "a".repeat(512), accepted: true },
    { given: "513 letters", target: "a".repeat(513), accepted: false },
    { given: "512 characters of two code units each", target: "😀".repeat(512), accepted: true },
    { given: "513 characters of two code units each", target: "😀".repeat(513), accepted: false }
  ])("of at most 512 characters may have $given: $accepted", ({ accepted, target }) => expect(accepts(target)).toBe(accepted))

  it.each([[0, true], [1, false]])("may have %i characters of two code units each past its limit, also elsewhere: %s", (past, accepted) => {
    const long = (limit: number) => "😀".repeat(limit + past)
    const result = { outcome: "failed", reason: "ExitCode", message: "", finishedAt: "2026-01-01T00:00:00Z" }
    expect([
      Schema.is(Engine)({ name: "tofu", version: long(32) }),
      Schema.is(StageResult)({ ...result, message: long(longestMessage) }),
      Schema.is(StageResult)({ ...result, unusedBackend: long(64) })
    ]).toEqual([accepted, accepted, accepted])
  })
})

describe("a phase, a reason and a condition that only a newer version knows", () => {
  const at = "2026-01-01T00:00:00Z"
  const condition = { type: "Ready", status: "False", reason: "Moonstruck", message: "", lastTransitionTime: at }
  const [waning, moonlit] = [{ ...condition, status: "Waning" }, { ...condition, type: "Moonlit", since: at }]
  const status = {
    phase: "Moonlit",
    reason: "Moonstruck",
    conditions: [waning, moonlit],
    queue: { position: 1, reason: "Moonrise" },
    result: { outcome: "failed", reason: "Moonstruck", message: "It was the moon.", finishedAt: at }
  } as const
  const task = {
    metadata: { name: "task", namespace: "tasks", uid: "uid", resourceVersion: "1", creationTimestamp: at },
    spec: { workspace: "demo", stage: "plan", source: { inline: {} } },
    status
  }

  it("are read as they are, so that no task vanishes on the way back to this one", () =>
    expect(Schema.decodeUnknownSync(AgentTask)(task).status).toEqual(status))
  it.each([{ phase: "Moonlit" }, { reason: "Moonstruck" }, { conditions: [waning] }, { conditions: [moonlit] }])(
    "are not in the lists that the API server keeps to: %j",
    (status) => expect(Schema.is(WritableStatus)(status)).toBe(false)
  )
})

describe("an option that only a newer version knows", () =>
  it("is read as it is, so that the task can be refused rather than planned without it", () => {
    const task = (options: object) => ({
      metadata: { name: "task", namespace: "tasks", uid: "uid", resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" },
      spec: { workspace: "demo", stage: "plan", source: { inline: {} }, options }
    })
    expect(Schema.decodeUnknownSync(AgentTask)(task({ refresh: false, excludes: ["a.b"] })).spec.options).toEqual({
      refresh: false,
      excludes: ["a.b"]
    })
    expect(Schema.is(AgentTask)(task({ refresh: "no" }))).toBe(false)
  }))

describe("the claim of a plan", () =>
  it("is read also where a runner mounts it, since an earlier CRD took that, and a task that is stored must not vanish", () =>
    expect(
      Schema.is(AgentTaskSpec)({
        workspace: "demo",
        stage: "apply",
        source: { savedPlan: { claimName: "plans", sha256: "a".repeat(64) } },
        jobTemplate: { volumeClaims: [{ claimName: "plans", mountPath: "/more" }] }
      })
    ).toBe(true)))

const structure = structuralSchema(AgentTaskSpec)
const { "x-kubernetes-validations": rules = [] } = structure
const plain = { workspace: "demo", stage: "plan", source: { inline: { "main.tf": "" } } }

describe("what is right in a task by itself, and wrong beside other things,", () => {
  const sha256 = "a".repeat(64)
  const [savePlan, savedPlan] = [{ claimName: "plans" }, { claimName: "plans", sha256 }]
  const archive = { archive: { url: "https://example.com/a.tar.gz", sha256 } }
  const followed = (onChange: string) => ({ fluxSource: { kind: "GitRepository", name: "infra", onChange } })
  const pool = { url: "https://pool.example.com", runId: "run-1", tokenSecret: { name: "token" } }
  it.each([
    { says: "source.pool and pool go together", spec: { pool } },
    { says: "source.pool and pool go together", spec: { source: { pool: { archiveSha256: sha256 } } } },
    { says: "a plan stage makes a saved plan and cannot be given one", spec: { plan: { sha256 } } },
    { says: "savePlan is for a plan whose source is archive or fluxSource", spec: { savePlan } },
    { says: "savePlan is for a plan whose source is archive or fluxSource", spec: { stage: "apply", source: archive, savePlan } },
    { says: "source.savedPlan is for an apply or destroy without options of its own", spec: { source: { savedPlan } } },
    {
      says: "source.savedPlan is for an apply or destroy without options of its own",
      spec: { stage: "apply", source: { savedPlan }, options: {} }
    },
    { says: "onChange: planAndApply needs savePlan, where its apply finds the plan", spec: { source: followed("planAndApply") } },
    { says: "source.fluxSource.onChange needs stage plan", spec: { stage: "apply", source: followed("plan") } }
  ])("is refused here and by the API server, which say the same: $says", ({ says, spec }) => {
    const self = { ...plain, ...spec }
    expect(Schema.is(AgentTaskSpec)(self)).toBe(false)
    expect(rules.filter(({ message }) => message === says).map((_) => rule(_.rule)({ oldSelf: self, self }))).toEqual([false])
  })

  it.each([
    plain,
    { source: { pool: { archiveSha256: sha256 } }, pool },
    { stage: "apply", source: { pool: { archiveSha256: sha256 } }, pool, plan: { sha256 } },
    { source: archive, savePlan },
    { source: followed("planAndApply"), savePlan },
    { source: followed("plan"), options: { refresh: false } },
    { stage: "apply", source: followed("none") },
    { stage: "destroy", source: { savedPlan } }
  ])("is taken here and by the API server beside what it goes with: %j", (spec) => {
    const self = { ...plain, ...spec }
    expect(Schema.is(AgentTaskSpec)(self)).toBe(true)
    expect(rules.filter((_) => !rule(_.rule)({ oldSelf: self, self }))).toEqual([])
  })
})

it.each([["/state", true], ["state", false], ["/a:b", false], ["", false]])(
  "a claim may be mounted at %j: %s",
  (mountPath, accepted) =>
    expect(Schema.is(AgentTaskSpec)({ ...plain, jobTemplate: { volumeClaims: [{ claimName: "state", mountPath }] } })).toBe(accepted)
)

it.each([[0, true], [137, true], [255, true], [256, false], [-1, false]])("an engine may end with %i: %s", (exitCode, accepted) => {
  const result = { outcome: "failed", reason: "ExitCode", message: "", finishedAt: "2026-01-01T00:00:00Z", exitCode }
  expect(Schema.is(StageResult)(result)).toBe(accepted)
})

describe("the rule that a spec is immutable", () => {
  const holds = rules.filter(({ message }) => message.startsWith("spec is immutable")).map((_) => rule(_.rule))
  const accepted = (oldSelf: object, self: object) => holds.every((_) => _({ oldSelf, self }))
  const keys = Object.keys(AgentTaskSpec.fields)
  const whole = Object.fromEntries(keys.map((key) => [key, "as it was made"]))
  const without = (key: string) => Object.fromEntries(Object.entries(whole).filter(([name]) => name !== key))

  it.each(keys.filter((key) => key !== "cancel"))("lets nobody change, add or take away its %s", (key) => {
    expect(accepted(whole, { ...whole, [key]: "another" })).toBe(false)
    expect(accepted(without(key), whole)).toBe(false)
    expect(accepted(whole, without(key))).toBe(false)
  })
  it("lets a cancel through, and a task that stays as it is", () => {
    expect(holds.length).toBe(1)
    expect(accepted(without("cancel"), whole)).toBe(true)
    expect(accepted(without("cancel"), without("cancel"))).toBe(true)
  })
})

describe("each map of a spec", () => {
  /** Returns the maps below a part of the spec, each with its path. */
  const mapsOf = (
    { additionalProperties, items, properties = {}, ...own }: Structural,
    path: string
  ): Array<readonly [string, Structural]> => [
    ...additionalProperties === undefined ? [] : [[path, own] as const],
    ...Object.entries(properties).flatMap(([key, part]) => mapsOf(part, `${path}.${key}`)),
    ...items === undefined ? [] : mapsOf(items, `${path}[]`)
  ]
  const maps = mapsOf(structure, "spec")
  const holds = (map: Structural, key: string) =>
    (map["x-kubernetes-validations"] ?? []).every((_) => rule(_.rule)({ self: { short: "", [key]: "" } }))
  const longest: Readonly<Record<string, number>> = { "spec.source.inline": 512, "spec.backend.config": 128 }

  it("is looked at here", () => expect(maps.map(([path]) => path)).toContain("spec.jobTemplate.nodeSelector"))
  it.each(maps)("%s has keys of bounded length, as many as are bounded too, which the API server checks", (path, map) => {
    const most = longest[path] ?? 317 // a prefix of 253 characters, a slash and a name of 63
    expect([holds(map, "é".repeat(most)), holds(map, "é".repeat(most + 1)), Number(map["maxProperties"])]).toEqual([
      true,
      false,
      expect.toSatisfy((count) => count <= 64)
    ])
  })
  it("is read with longer keys too, since an earlier CRD took them, and a task that is stored must not vanish", () =>
    expect(Schema.is(AgentTaskSpec)({ ...plain, jobTemplate: { nodeSelector: { ["k".repeat(42_000)]: "" } } })).toBe(true))
})
