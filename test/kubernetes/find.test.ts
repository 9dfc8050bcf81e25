// An object is taken for gone only where the API server says that it is not there.
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { Forbidden, Gone, type KubernetesError, NotFound, Unreachable } from "../../src/kubernetes/errors.ts"
import { find } from "../../src/kubernetes/find.ts"
import { jobs } from "../../src/kubernetes/kinds.ts"

const call = { verb: "get", object: "Job team/demo", detail: "" } as const

it.effect.each<{ readonly error: KubernetesError; readonly is: "gone" | "perhaps there" }>([
  { error: new NotFound({ ...call, code: 404, reason: "NotFound", isKindServed: true }), is: "gone" },
  { error: new Forbidden({ ...call, code: 403, reason: "Forbidden" }), is: "perhaps there" },
  { error: new Gone({ ...call, code: 410, reason: "Expired" }), is: "perhaps there" },
  { error: new Unreachable(call), is: "perhaps there" }
])("an object is $is where the answer is $error._tag", ({ error, is }) =>
  Effect.gen(function*() {
    const kubernetes = Layer.mock(Kubernetes, { namespace: "team", get: () => Effect.fail(error) })
    const found = yield* Effect.exit(Effect.provide(find(jobs, { namespace: "team", name: "demo" }), kubernetes))
    expect(found).toEqual(is === "gone" ? Exit.succeed(Option.none()) : Exit.fail(error))
  }))
