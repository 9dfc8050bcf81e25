// What a person is told while the API server, or the login, does not answer: whom the command waits for.
import { expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { cluster } from "../../../src/cli/cluster/cluster.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import type { KubernetesError } from "../../../src/kubernetes/errors.ts"
import { namespaces } from "../../../src/kubernetes/kinds.ts"
import { ScriptedServer } from "../../kubernetes/scripted-server.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { until } from "../../until.ts"
import { toldScreen } from "../told-screen.ts"

/** Asks the cluster of a kubeconfig with this server and user for a namespace, or what `ask` says, and returns how that fails. */
const asked = Effect.fnUntraced(function*(
  screen: ReturnType<typeof toldScreen>,
  server: string,
  user: object,
  ask: (kubernetes: Kubernetes["Service"]) => Effect.Effect<unknown, KubernetesError> = ({ get }) => get(namespaces, { name: "team" })
) {
  const file = join(yield* temporaryFolder("kubeconfig"), "config")
  writeFileSync(
    file,
    JSON.stringify({
      clusters: [{ name: "c", cluster: { server } }],
      users: [{ name: "u", user }],
      contexts: [{ name: "here", context: { cluster: "c", user: "u" } }]
    })
  )
  return yield* Effect.flatMap(Kubernetes, ask).pipe(
    Effect.provide(cluster({ context: Option.some("here") })),
    Effect.provide([screen.layer, ConfigProvider.layer(ConfigProvider.fromUnknown({ KUBECONFIG: file }))]),
    Effect.flip,
    Effect.forkChild
  )
})

it.effect("an API server that does not answer is named after two seconds, until the call is given up", () =>
  Effect.gen(function*() {
    const { server, url } = yield* ScriptedServer.make
    server.otherwise = "silence"
    const screen = toldScreen()
    const asking = yield* asked(screen, url, {})
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

it.effect("a log is waited for without a word, since it says nothing before its first line", () =>
  Effect.gen(function*() {
    const { server, url } = yield* ScriptedServer.make
    server.otherwise = "silence"
    const screen = toldScreen()
    yield* asked(screen, url, {}, ({ logs }) => Stream.runDrain(logs({ namespace: "team", name: "pod" }, { follow: true })))
    yield* until(() => server.asked.length === 1)
    yield* TestClock.adjust("5 seconds")
    expect(screen.told).toEqual([])
  }))

it.effect("a login command that does not end is told too, since what it asks for is not shown", () =>
  Effect.gen(function*() {
    const folder = yield* temporaryFolder("login")
    const screen = toldScreen()
    const args = ["-c", `touch ${folder}/begun; while [ -e ${folder}/begun ] && [ ! -e ${folder}/end ]; do sleep 0.1; done; exit 1`]
    const asking = yield* asked(screen, "https://127.0.0.1:1", { exec: { command: "sh", args } })
    yield* until(() => existsSync(join(folder, "begun")))
    yield* TestClock.adjust("2 seconds")
    expect(screen.of("status").map((text) => text.split(";")[0])).toEqual([
      "Waiting for the login command of the kubeconfig, whose questions are not shown here"
    ])
    writeFileSync(join(folder, "end"), "")
    expect((yield* Fiber.join(asking)).message).toContain("Cannot log in with the context here")
  }))
