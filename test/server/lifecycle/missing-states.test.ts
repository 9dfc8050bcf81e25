import { expect, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { truncateSync } from "node:fs"
import { join } from "node:path"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { MissingStates } from "../../../src/server/lifecycle/missing-states.ts"
import { Settings } from "../../../src/server/settings.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { blobsIn } from "../../../src/server/store/earlier-data.ts"
import { StateVersions } from "../../../src/server/workspace/state-versions.ts"
import { inStores, sha256, state } from "../live-server.ts"

it.live("states whose files are missing or cut are told by workspace and digest, as where a database is restored beside newer files", () =>
  inStores(Effect.gen(function*() {
    const states = yield* StateVersions
    const bytes = (lineage: string) => Buffer.from(JSON.stringify(state(1, lineage)))
    const push = (name: string) => states.push(WorkspaceName.make(name), { bytes: bytes(name), replace: undefined })
    yield* Effect.forEach(["app", "dns", "network"], push)
    const lines: Array<unknown> = []
    const { tell } = yield* MissingStates
    const logged = Effect.provide(tell, Logger.layer([Logger.make(({ message }) => void lines.push(message))]))
    yield* logged
    expect(lines).toEqual([])
    const file = sha256(bytes("network"))
    yield* (yield* Blobs).remove(file)
    yield* logged
    expect(lines).toEqual([[
      expect.stringContaining("are missing in blobs/, or cut"),
      { workspaces: 1, states: [{ workspace: "network", file, found: "nothing" }] }
    ]])
    const cut = sha256(bytes("dns"))
    truncateSync(join(blobsIn((yield* Settings).dataDir), cut))
    yield* logged
    expect(lines.at(-1)).toMatchObject([expect.anything(), {
      workspaces: 2,
      states: [{ workspace: "dns", file: cut, found: `0 of ${bytes("dns").length} bytes` }, { workspace: "network" }]
    }])
    yield* push("dns")
    yield* logged
    expect(lines.at(-1)).toMatchObject([expect.anything(), { workspaces: 1 }])
    for (const name of Array.from({ length: 20 }, (_, nth) => `app-${nth}`)) {
      yield* push(name)
      yield* (yield* Blobs).remove(sha256(bytes(name)))
    }
    yield* logged
    expect(lines.at(-1)).toMatchObject([expect.anything(), { workspaces: 21, states: { length: 20 } }])
  })))
