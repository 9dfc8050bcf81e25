// The configuration of a running controller: good values are taken over, wrong ones change nothing, and some need a new process.
import { afterAll, describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Logger, Metric, Queue, Runtime, type Scope, Stream } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Configuration } from "../../../src/controller/configuration/configuration.ts"

const root = mkdtempSync(join(tmpdir(), "configuration-"))
afterAll(() => rmSync(root, { recursive: true }))
const usual = { name: "agent-job", namespace: "ours" }

/**
 * Starts a configuration with a values file of its own. `becomes` writes the file and has it read again. The logger throws on a line with
 * `fails`.
 */
const started = Effect.fnUntraced(function*(text: string, fails = "", release = usual): Effect.fn.Return<
  {
    readonly configuration: Configuration["Service"]
    readonly becomes: (text: string) => Effect.Effect<void>
    readonly logged: ReadonlyArray<string>
    readonly valid: Effect.Effect<number | bigint | undefined>
  },
  unknown,
  Scope.Scope
> {
  const path = join(mkdtempSync(join(root, "a")), "values.yaml")
  writeFileSync(path, text)
  const ticks = yield* Queue.unbounded<Deferred.Deferred<void>>()
  const logged: Array<string> = []
  const logger = Logger.layer([Logger.make(({ message }) => {
    const line = JSON.stringify(message)
    logged.push(line)
    if (fails !== "" && line.includes(fails)) throw new Error("a mistake of ours")
  })])
  // A tick has been handled when the stream asks for the next one.
  let read: Deferred.Deferred<void> | undefined
  const each = Stream.fromPull(Effect.succeed(Effect.gen(function*() {
    if (read !== undefined) yield* Deferred.succeed(read, undefined)
    read = yield* Queue.take(ticks)
    return [undefined] as const
  })))
  const built = yield* Layer.build(Configuration.layer({ path, release, ticks: each }).pipe(Layer.provide(logger)))
  const becomes = (text: string) =>
    Effect.gen(function*() {
      writeFileSync(path, text)
      const over = yield* Deferred.make<void>()
      yield* Queue.offer(ticks, over)
      yield* Deferred.await(over)
    })
  const valid = Effect.map(
    Metric.snapshot,
    (all) => all.flatMap((_) => _.type === "Gauge" && _.id === "agent_job_config_valid" ? [_.state.value] : [])[0]
  )
  return { configuration: Context.get(built, Configuration), becomes, logged, valid }
})
const total = ({ current }: Configuration["Service"]) => Effect.map(current, ({ policy }) => policy.limits.total)
const limit = (value: number) => `task: { limits: { total: ${value} } }\n`

describe("the configuration", () => {
  const taken = (name: string, where = "") => `task:\n  identities: [{ name: ${name}, workspaces: ["*"] }]\n${where}`
  const why = (name: string) =>
    `values.yaml:2:18 task.identities[0].name: "${name}" is the account of the controller or the server in namespace ours, whose rights no task may have; choose another name, or give the tasks a namespace of their own (task.namespace)`

  it.effect.each([{ name: "runs" }, { name: "agent-job-server" }])(
    "gives no task the account of the controller or the server: $name",
    ({ name }) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(started(taken(name), "", { name: "runs", namespace: "ours" }))
        expect(error instanceof Error ? error.message : "").toContain(why(name))
        expect(Runtime.getErrorExitCode(error)).toBe(2)
        const { becomes, configuration, logged } = yield* started(limit(7), "", { name: "runs", namespace: "ours" })
        yield* becomes(taken(name))
        expect(yield* total(configuration)).toBe(7)
        expect(logged.some((line) => line.includes(JSON.stringify(why(name)).slice(1, -1)))).toBe(true)
        yield* started(taken(name, "  namespace: tasks\n"), "", { name: "runs", namespace: "ours" })
      }).pipe(Effect.scoped)
  )

  it.effect("of an empty file is the defaults", () =>
    Effect.gen(function*() {
      const { configuration } = yield* started("")
      expect(yield* configuration.current).toMatchObject({ name: "agent-job", taskNamespace: "ours", policy: { limits: { total: 50 } } })
    }).pipe(Effect.scoped))

  it.effect("of wrong files keeps the controller from starting: every mistake is named, with its place and the key that was meant", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(started("task: {limts: {}, job: {backoffLimit: -1}}\nagnt: {}\n"))
      const message = error instanceof Error ? error.message : ""
      for (
        const part of [
          "values.yaml:1:8 task.limts",
          "\"limits\"",
          "values.yaml:1:25 task.job.backoffLimit",
          "values.yaml:2:1 agnt",
          "\"agent\""
        ]
      ) expect(message).toContain(part)
      expect(Runtime.getErrorExitCode(error)).toBe(2)
    }).pipe(Effect.scoped))

  it.effect("changes with the file, and those who listen are told", () =>
    Effect.gen(function*() {
      const { becomes, configuration, logged } = yield* started(limit(1))
      const heard = yield* Effect.forkScoped(Stream.runCollect(Stream.take(configuration.changes, 2)))
      const before = yield* configuration.current
      yield* becomes(limit(2))
      expect((yield* Fiber.join(heard)).map(({ policy }) => policy.limits.total)).toEqual([1, 2])
      expect(yield* total(configuration)).toBe(2)
      expect((yield* configuration.current).policy.configHash).toBe(before.policy.configHash) // the limit changes nothing in a Job
      expect(logged.join("")).toContain("task.limits.total")
    }).pipe(Effect.scoped))

  it.effect("stays as it is while the file is broken, says so once, and heals with the next good file", () =>
    Effect.gen(function*() {
      const { becomes, configuration, logged, valid } = yield* started(limit(1))
      const warnings = () => logged.filter((_) => _.includes("cannot be used")).length
      expect(yield* valid).toBe(1)
      yield* becomes("task: { limts: {} }")
      yield* becomes("task: { limts: {} }")
      expect([yield* total(configuration), yield* valid, warnings()]).toEqual([1, 0, 1])
      expect(logged.join("")).toContain("limts")
      yield* becomes("task: [")
      expect([yield* total(configuration), yield* valid, warnings()]).toEqual([1, 0, 2])
      yield* becomes(limit(3))
      expect([yield* total(configuration), yield* valid]).toEqual([3, 1])
      yield* becomes("task: [")
      expect([yield* total(configuration), yield* valid, warnings()]).toEqual([3, 0, 3])
    }).pipe(Effect.scoped))

  it.effect("is read again after a defect, which the metric and the log tell", () =>
    Effect.gen(function*() {
      const { becomes, configuration, logged, valid } = yield* started(limit(1), "limits.perWorkspace")
      yield* becomes("task: { limits: { perWorkspace: 2 } }")
      expect([yield* total(configuration), yield* valid]).toEqual([1, 0])
      expect(logged.join("")).toContain("could not be taken over")
      yield* becomes(limit(3))
      expect([yield* total(configuration), yield* valid]).toEqual([3, 1])
    }).pipe(Effect.scoped))

  it.effect("is outdated when the values ask for what a running process cannot change, and holds until the end", () =>
    Effect.gen(function*() {
      const { becomes, configuration, logged } = yield* started(limit(1))
      const outdated = yield* Effect.forkScoped(configuration.outdated)
      yield* becomes(limit(2))
      expect(outdated.pollUnsafe()).toBeUndefined()
      yield* becomes("task: { namespace: elsewhere }")
      yield* Fiber.join(outdated)
      expect(yield* total(configuration)).toBe(2)
      expect(logged.join("")).toContain("task.namespace")
    }).pipe(Effect.scoped))
})
