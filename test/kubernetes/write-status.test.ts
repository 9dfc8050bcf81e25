// How an end is told to an older CRD, which refuses a reason that it does not have; test/worker/older-crd.cluster.test.ts has a real one.
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, Option } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { Conflict, Invalid, type KubernetesError } from "../../src/kubernetes/errors.ts"
import { agentTasks } from "../../src/kubernetes/kinds.ts"
import { writeStatus } from "../../src/kubernetes/write-status.ts"
import type { AgentTaskStatus } from "../../src/schema/task/agent-task.ts"
import { noon, plainSeed, worldOf } from "../core/worlds.ts"

const status: AgentTaskStatus = { phase: "Failed", reason: "StateNotSaved", finishedAt: noon }
const plain: AgentTaskStatus = { ...status, reason: "Failed" }
const call = { verb: "update", object: "the AgentTask", detail: "" } as const
const conflict = new Conflict({ ...call, code: 409, reason: "Conflict" })
const refusing = (reason: string) =>
  new Invalid({ ...call, code: 422, reason: "Invalid", causes: [{ field: "status.reason", reason, message: "" }] })

/** Writes the status to a server that answers the first write with this error and each later one with a conflict. */
const writing = Effect.fnUntraced(function*(error: KubernetesError, isEnd: boolean) {
  const { task } = worldOf(plainSeed)
  const { metadata: { name, namespace, resourceVersion, uid } } = task
  const written: Array<unknown> = []
  const refused = Layer.mock(Kubernetes, {
    namespace: "tasks",
    updateStatus: (_, object, validation) =>
      Effect.suspend(() => {
        expect(object.metadata).toEqual({ name, namespace, resourceVersion, uid })
        written.push("status" in object && object.status, validation)
        return Effect.fail(written.length === 2 ? error : conflict)
      })
  })
  const inPlainReasons = (fields: ReadonlyArray<string>) => fields.includes("status.reason") ? Option.some(plain) : Option.none()
  const end = isEnd ? Option.some(inPlainReasons) : Option.none()
  const kubernetes = Context.get(yield* Layer.build(refused), Kubernetes)
  const said: Array<unknown> = []
  const { _tag } = yield* Effect.flip(writeStatus(kubernetes, agentTasks, task, status, end)).pipe(
    Effect.provide(Logger.layer([Logger.make(({ message }) => said.push(message))]))
  )
  return { told: [...written, _tag], said }
})

describe("the status of a task", () => {
  it.effect.each([
    { given: "an end whose reason the CRD does not have", error: refusing("FieldValueNotSupported"), isEnd: true, again: [plain, "Warn"] },
    { given: "an end that is refused for something else", error: refusing("FieldValueTooLong"), isEnd: true, again: [] },
    { given: "an end of a task that has changed", error: conflict, isEnd: true, again: [] },
    { given: "no end", error: refusing("FieldValueNotSupported"), isEnd: false, again: [] }
  ])(
    "is written once more, in plain words, which the log tells, only where its reason was refused and it is an end: $given",
    ({ again, error, isEnd }) =>
      Effect.map(
        writing(error, isEnd),
        ({ said, told }) => {
          expect(told).toEqual([status, isEnd ? "Warn" : "Strict", ...again, again.length > 0 ? "Conflict" : error._tag])
          expect(said).toEqual(
            again.length > 0 ? [["An older CRD refuses the reason of an end, so a plain one is written", error.message]] : []
          )
        }
      )
  )
})
