// Actions that the API server refuses: told as what they mean, so that the table can answer, not as an error to try again.
import { expect, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Action } from "../../src/core/action.ts"
import { Executor } from "../../src/controller/execute.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { Forbidden, Invalid, type KubernetesError } from "../../src/kubernetes/errors.ts"
import { configOf } from "../core/configs.ts"
import { noon, plainSeed, worldOf } from "../core/worlds.ts"

const world = worldOf(plainSeed)
const creates: ReadonlyArray<Action> = [Action.CreateJob({ name: "agent-job-task" }), Action.CreateTask({ name: "task-2", spec: world.task.spec })]

/** Carries out an action that creates something, which the API server answers with an error. */
const refused = Effect.fnUntraced(function*(action: Action, answer: KubernetesError) {
  const kubernetes = Layer.mock(Kubernetes, { namespace: "tasks", create: () => Effect.fail(answer) })
  const parts = yield* Layer.build(Executor.layer({ identity: "test", created: () => undefined }).pipe(Layer.provide(kubernetes)))
  return yield* Effect.flip(Context.get(parts, Executor).all(world, [action], { config: configOf(), now: noon }))
}, Effect.scoped)

const said = { verb: "create", object: "it", code: 403, reason: "" } as const

it.effect.each(creates)("$_tag that a quota, a right or a rule refuses", (action) =>
  Effect.gen(function*() {
    expect(yield* refused(action, new Forbidden({ ...said, detail: "exceeded quota: tasks" }))).toMatchObject({ _tag: "Refused", kind: "QuotaExceeded" })
    expect(yield* refused(action, new Forbidden({ ...said, detail: "no such right" }))).toMatchObject({ _tag: "Refused", kind: "Refused" })
    expect(yield* refused(action, new Invalid({ ...said, code: 422, detail: "spec.stage", causes: [] }))).toMatchObject({ _tag: "Refused", kind: "Denied" })
  }))
