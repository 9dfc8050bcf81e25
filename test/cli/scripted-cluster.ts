// A client of an API server that answers by the path and the body of a request.
// Used by the tests of doctor, drain, migrate and bundle.
import { Context, Effect, Layer } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { type Answer, ScriptedServer } from "../kubernetes/scripted-server.ts"

export const list = (...items: ReadonlyArray<object>): Answer => ({ body: { metadata: { resourceVersion: "1" }, items } })

/** Runs `look` against an API server that answers by path. `otherwise` answers all other paths, and gets the body of the request too. */
export const against = <A, E>(
  look: Effect.Effect<A, E, Kubernetes>,
  answers: Readonly<Record<string, Answer>>,
  otherwise: (path: string, body: string) => Answer = () => ({
    status: 404,
    body: { kind: "Status", apiVersion: "v1", status: "Failure", code: 404, reason: "NotFound", message: "not found" }
  })
) =>
  Effect.gen(function*() {
    const { server, url } = yield* ScriptedServer.make
    server.route = (path) => answers[path] ?? otherwise(path, server.asked.at(-1)?.body ?? "")
    const credentials = { server: url, namespace: "x", tls: {}, headers: Effect.succeed({}), refresh: Effect.void }
    const kubernetes = yield* Layer.build(Kubernetes.layer(Effect.succeed(credentials)))
    return yield* Effect.provideService(look, Kubernetes, Context.get(kubernetes, Kubernetes))
  })
