import { expect, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { MissingStates } from "../../../src/server/lifecycle/missing-states.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { StateVersions } from "../../../src/server/workspace/state-versions.ts"
import { inStores, sha256, state } from "../live-server.ts"

it.live("states without their files are told by workspace and digest, as where a database is restored beside newer files", () =>
  inStores(Effect.gen(function*() {
    const states = yield* StateVersions
    const bytes = (lineage: string) => Buffer.from(JSON.stringify(state(1, lineage)))
    const push = (name: string) => states.push(WorkspaceName.make(name), { bytes: bytes(name), replace: undefined })
    yield* Effect.forEach(["app", "network"], push)
    const lines: Array<unknown> = []
    const { tell } = yield* MissingStates
    const logged = Effect.provide(tell, Logger.layer([Logger.make(({ message }) => void lines.push(message))]))
    yield* logged
    expect(lines).toEqual([])
    yield* (yield* Blobs).remove(sha256(bytes("network")))
    yield* logged
    expect(lines).toEqual([[
      expect.stringContaining("are missing in blobs/"),
      { workspaces: 1, missing: [{ workspace: "network", file: sha256(bytes("network")) }] }
    ]])
    for (const name of Array.from({ length: 20 }, (_, nth) => `app-${nth}`)) {
      yield* push(name)
      yield* (yield* Blobs).remove(sha256(bytes(name)))
    }
    yield* logged
    expect(lines.at(-1)).toMatchObject([expect.anything(), { workspaces: 21, missing: { length: 20 } }])
  })))
