// What a person is told while the API server does not answer: whom the command waits for.
import { expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { cluster } from "../../../src/cli/cluster/cluster.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { namespaces } from "../../../src/kubernetes/kinds.ts"
import { ScriptedServer } from "../../kubernetes/scripted-server.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { until } from "../../until.ts"
import { toldScreen } from "../told-screen.ts"

it.effect("an API server that does not answer is named after two seconds, until the call is given up", () =>
  Effect.gen(function*() {
    const { server, url } = yield* ScriptedServer.make
    server.otherwise = "silence"
    const file = join(yield* temporaryFolder("kubeconfig"), "config")
    writeFileSync(
      file,
      JSON.stringify({
        clusters: [{ name: "c", cluster: { server: url } }],
        contexts: [{ name: "here", context: { cluster: "c", user: "u" } }]
      })
    )
    const screen = toldScreen()
    const asking = yield* Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.get(namespaces, { name: "team" })).pipe(
      Effect.provide(cluster({ context: Option.some("here") })),
      Effect.provide([screen.layer, ConfigProvider.layer(ConfigProvider.fromUnknown({ KUBECONFIG: file }))]),
      Effect.flip,
      Effect.forkChild
    )
    yield* until(() => server.asked.length === 1)
    expect(screen.told).toEqual([])
    yield* TestClock.adjust("2 seconds")
    expect(screen.told).toEqual([{ kind: "status", text: `Waiting for an answer from the API server at ${url}` }])
    for (const tries of [2, 3]) {
      yield* TestClock.adjust("35 seconds")
      yield* until(() => server.asked.length === tries)
    }
    yield* TestClock.adjust("35 seconds")
    expect((yield* Fiber.join(asking)).message).toContain("no answer in 30s")
  }))
