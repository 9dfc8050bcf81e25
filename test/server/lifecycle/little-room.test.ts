import { expect, it } from "@effect/vitest"
import { Effect, Logger, Stream } from "effect"
import { randomBytes } from "node:crypto"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { LittleRoom } from "../../../src/server/lifecycle/little-room.ts"
import { Configurations } from "../../../src/server/run/configurations.ts"
import { Runs } from "../../../src/server/run/runs.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { StateVersions } from "../../../src/server/workspace/state-versions.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import { archiveOf, inStores, plainRun, state } from "../live-server.ts"
import { diskWith } from "../room.ts"

it.effect("little room is told once, with the workspaces that sent the most lately, and once more when it is over", () =>
  inStores(Effect.gen(function*() {
    const disk = yield* diskWith(1e9)
    for (const [name, size] of [["small", 1], ["large", 100_000], ["idle", 0]] as const) {
      const { id } = yield* (yield* Workspaces).ensure(WorkspaceName.make(name))
      const configurations = yield* Configurations
      const version = yield* configurations.create(id, false)
      if (size > 0) yield* configurations.upload(version.id, Stream.succeed(archiveOf({ "a.tf": randomBytes(size).toString("hex") })))
    }
    yield* (yield* StateVersions).push(WorkspaceName.make("small"), { bytes: Buffer.from(JSON.stringify(state(1))), replace: undefined })
    const lines: Array<unknown> = []
    const logged = Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(message))]))
    const { tell } = yield* LittleRoom
    yield* logged(tell)
    expect(lines).toEqual([])
    const started = (name: string) =>
      Effect.gen(function*() {
        const { id: workspaceId } = yield* (yield* Workspaces).ensure(WorkspaceName.make(name))
        const archive = yield* (yield* Configurations).create(workspaceId, false)
        yield* (yield* Configurations).upload(archive.id, Stream.succeed(archiveOf({ "a.tf": "" })))
        const { sha256: archiveSha256 } = yield* (yield* Configurations).get(archive.id)
        return yield* (yield* Runs).create({
          ...plainRun,
          workspaceId,
          configurationVersionId: archive.id,
          archiveSha256: archiveSha256!
        })
      })
    const { id } = yield* started("planned")
    yield* started("large") // its stage has sent nothing yet
    const plan = yield* (yield* Blobs).receive(Stream.succeed(Buffer.alloc(10_000)), { limitBytes: 10_000 })
    yield* (yield* Runs).savePlan(id, `${id}.plan.1`, plan)
    disk.freeBytes = 1e8
    yield* logged(Effect.andThen(tell, tell))
    expect(lines).toEqual([[
      expect.stringContaining("nothing begins"),
      [
        { workspace: "large", bytes: expect.any(Number) },
        { workspace: "planned", bytes: expect.any(Number) },
        { workspace: "small", bytes: expect.any(Number) }
      ]
    ]])
    disk.freeBytes = 1e9
    yield* logged(Effect.andThen(tell, tell))
    expect(lines).toHaveLength(2)
    expect(String(lines[1])).toContain("there is room on the disk again")
  })))
