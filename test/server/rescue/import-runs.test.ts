import { describe, expect, it, vi } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { readFileSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { importBlocks } from "../../../src/core/state/import-blocks.ts"
import { auditPath } from "../../../src/schema/api/audit.ts"
import type { JournalEntry, LeftOver } from "../../../src/schema/api/effects.ts"
import type { Assignment } from "../../../src/schema/api/pool-api.ts"
import { statePath } from "../../../src/schema/api/state.ts"
import { taskHeader, taskPath } from "../../../src/schema/api/task-api.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import type { StageResult } from "../../../src/schema/task/stage-result.ts"
import { stores } from "../../../src/server/lifecycle/server.ts"
import { Configurations } from "../../../src/server/run/configurations.ts"
import { Runs } from "../../../src/server/run/runs.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { Rescues } from "../../../src/server/workspace/rescues.ts"
import { Heap } from "../../../src/server/workspace/state-body.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import { unpack } from "../../../src/worker/volume/archive.ts"
import { openFolder } from "../../../src/worker/volume/folder.ts"
import {
  agent,
  ask,
  directory,
  failed,
  optionsIn,
  person,
  plainRun,
  planWith,
  serve,
  server,
  succeeded,
  taskUid,
  userToken,
  withChanges,
  worker
} from "../live-server.ts"
import { applying, applyingIn, encrypted, entry, lost, lostAfter, made, stateWith } from "../run/applying.ts"

/** A pending import for a rescue of the workspace `demo`. */
const importing = Effect.gen(function*() {
  const [blobs, configurations, rescues, runs, workspaces] = [
    yield* Blobs,
    yield* Configurations,
    yield* Rescues,
    yield* Runs,
    yield* Workspaces
  ]
  const { id: workspaceId } = yield* workspaces.ensure(WorkspaceName.make("demo"))
  const { id: configurationVersionId } = yield* configurations.create(workspaceId, false)
  const { sha256: archiveSha256 } = yield* Effect.scoped(Effect.tap(blobs.receive(Stream.empty, { limitBytes: 0 }), blobs.store))
  const made = { workspaceId, configurationVersionId, archiveSha256, ...plainRun }
  const lost = yield* runs.create(made)
  yield* rescues.open({ workspaceId, stageId: `${lost.id}.plan.1`, reason: "Lost", message: "lost" })
  const rescueId = (yield* rescues.pending(workspaceId))[0]?.id ?? expect.fail("it is open")
  return (yield* runs.create({ ...made, rescueId })).id
})

it.live("an import that ends with its rescue was stopped by whose token settled it, as in the audit trail", () =>
  Effect.gen(function*() {
    const made = yield* directory
    const id = yield* Effect.scoped(
      Effect.flatMap(Layer.build(stores(optionsIn(made))), (context) => Effect.provide(importing, context))
    )
    const url = yield* serve(made)
    yield* person(url).settle("demo")
    const [settled] = (yield* ask(url + auditPath.all, userToken)).json.entries
    expect(yield* person(url).view(id)).toMatchObject({ status: "canceled", stoppedBy: settled.name })
  }))

describe("the import of what is missing", () => {
  /** A workspace whose apply was lost after these entries, and another run that waits. */
  const doubted = (entries: ReadonlyArray<JournalEntry>, workingDirectory = "", stored = stateWith(["a", "1"])) =>
    Effect.gen(function*() {
      const { append, applier, apply, blobs, id, url, workspaceId } = yield* applyingIn(workingDirectory)
      yield* append(...entries)
      yield* applier.pushState(stored, "a", 1)
      yield* agent(url).report(apply.id, lost)
      const waiting = yield* person(url).start("demo")
      const moveTo = (directory: string) =>
        person(url).as("PATCH", `/api/v2/workspaces/${workspaceId}`, { data: { attributes: { "working-directory": directory } } })
      return { url, id, applier, blobs, waiting, moveTo, import: person(url).as("POST", "/api/agent-job/v1/workspaces/demo/state/import") }
    })
  /** A workspace whose lost apply a person has settled, and another run of which is planned and confirmed; `append` is the lost worker's. */
  const settledAndGoneOn = Effect.gen(function*() {
    const { append, apply, url } = yield* applying
    yield* agent(url).report(apply.id, lost)
    yield* person(url).settle("demo")
    const second = yield* person(url).start("demo", { "auto-apply": true })
    yield* planWith(url)
    return { append, second, url }
  })
  const pending = (url: string) =>
    Effect.map(person(url).as("GET", "/api/agent-job/v1/workspaces/demo/state"), ({ json }): ReadonlyArray<unknown> => json.pending)
  const importing = succeeded({ changes: { add: 0, change: 0, destroy: 0, import: 2 }, hasChanges: true })
  type Objects = ReadonlyArray<readonly [name: string, id: string]>
  /** Plans, approves and applies the import; its apply ends so, with a state that has these objects. */
  const importedWith = Effect.fnUntraced(function*(result: StageResult, url: string, runId: string, ...objects: Objects) {
    const plan = yield* planWith(url, "the plan", importing)
    expect(plan.runId).toBe(runId)
    expect((yield* person(url).act(runId, "apply")).status).toBe(202)
    const apply = yield* agent(url).take
    expect(apply.runId).toBe(runId)
    const { json } = yield* worker(url, apply).lock("b")
    yield* worker(url, apply).pushState({ ...stateWith(...objects), serial: 2 }, "b", json.epoch)
    yield* worker(url, apply).unlock("b")
    expect((yield* worker(url, apply).result({ ...result, statePushed: true })).status).toBe(204)
  })
  const imported = (url: string, runId: string, ...objects: Objects) => importedWith(succeeded(withChanges), url, runId, ...objects)

  /** Unpacks the archive of a stage as its worker does, and returns the folder. */
  const unpacked = Effect.fnUntraced(function*(url: string, { taskToken }: Pick<Assignment, "taskToken">) {
    const folder = yield* directory
    const archive = yield* Effect.promise(async () => {
      const response = await fetch(`${url}${taskPath.archive}`, {
        headers: { authorization: `Bearer ${taskToken}`, [taskHeader.taskUid]: taskUid }
      })
      return response.arrayBuffer()
    })
    writeFileSync(join(folder, "archive"), Buffer.from(archive))
    yield* Effect.scoped(Effect.flatMap(openFolder(folder), (root) => unpack(join(folder, "archive"), root)))
    return folder
  })

  it.live("is a run of the same configuration with import blocks, for these addresses alone, before everything else of the workspace", () =>
    Effect.gen(function*() {
      const { import: start, url, waiting } = yield* doubted(made)
      const { json, status } = yield* start
      expect([status, json.addresses]).toEqual([200, ["time_sleep.b"]])
      const [assignment, ...others] = yield* agent(url).acquire()
      expect(others).toEqual([])
      expect(assignment).toMatchObject({ runId: json.runId, stage: "plan", options: { targets: ["time_sleep.b"] } })
      const folder = yield* unpacked(url, assignment!)
      expect(readFileSync(join(folder, "main.tf"), "utf8")).toBe("output \"m\" { value = 1 }")
      expect(readFileSync(join(folder, "agent-job-import.tf"), "utf8")).toBe("import {\n  to = time_sleep.b\n  id = \"2\"\n}\n")
      expect((yield* person(url).view(waiting)).queue).toMatchObject({ reason: "StateRescuePending" })
      expect((yield* person(url).view(json.runId)).queue?.reason).toBeUndefined()
    }))

  it.live.each(["environments/prod/", "münchen", "long".repeat(40)])(
    "has its blocks in the working directory %s, in which the run was that it imports for, and plans there",
    (workingDirectory) =>
      Effect.gen(function*() {
        const { import: start, moveTo, url } = yield* doubted(made, workingDirectory)
        expect((yield* moveTo("elsewhere")).status).toBe(200)
        yield* start
        const assignment = yield* agent(url).take
        expect(assignment.workingDirectory).toBe(workingDirectory)
        const folder = yield* unpacked(url, assignment)
        expect(readFileSync(join(folder, workingDirectory, "agent-job-import.tf"), "utf8")).toContain("to = time_sleep.b")
        expect(readFileSync(join(folder, "main.tf"), "utf8")).toBe("output \"m\" { value = 1 }")
      })
  )

  it.live("settles the rescue once nothing is missing any more, and the workspace goes on", () =>
    Effect.gen(function*() {
      const { id, import: start, url, waiting } = yield* doubted([...made.slice(0, 4), entry(5, "closed", "")])
      yield* imported(url, (yield* start).json.runId, ["a", "1"], ["b", "2"])
      expect(yield* pending(url)).toEqual([])
      expect((yield* person(url).view(id)).stages.at(-1)?.effects).toBeUndefined()
      expect((yield* agent(url).take).runId).toBe(waiting)
    }))

  it.live("leaves the rescue to a person when its apply failed, though the state has what was missing", () =>
    Effect.gen(function*() {
      const { import: start, url } = yield* doubted([...made.slice(0, 4), entry(5, "closed", "")])
      yield* importedWith(failed(), url, (yield* start).json.runId, ["a", "1"], ["b", "2"])
      const open = yield* pending(url)
      expect(open).toHaveLength(1)
      expect(open[0]).not.toHaveProperty("effects")
    }))

  it.live("fails its plan where the engine passes over one of its blocks, and so would make that thing once more", () =>
    Effect.gen(function*() {
      const { import: start, url } = yield* doubted(made)
      const { runId } = (yield* start).json
      yield* planWith(url)
      expect(yield* person(url).view(runId)).toMatchObject({
        status: "errored",
        failure: expect.stringMatching(/^The plan imports 0 of 1, and would make the rest once more: /u)
      })
    }))

  it.live("leaves to a person what was made in the place of something that the state has at its address", () =>
    Effect.gen(function*() {
      const entries = [...made.slice(0, 4), entry(5, "started", "time_sleep.c"), entry(6, "done", "time_sleep.c", "3")]
      const { import: start, url } = yield* doubted(entries, "", stateWith(["a", "1"], ["b", "0"]))
      expect((yield* start).json.addresses).toEqual(["time_sleep.c"])
      expect(yield* pending(url)).toMatchObject([
        { effects: { unsaved: [{ address: "time_sleep.b", replaces: true }, { address: "time_sleep.c" }] } }
      ])
    }))

  it.live("leaves to a person also which of two to keep, where a later apply had made the thing once more before the lost worker came back", () =>
    Effect.gen(function*() {
      const { append, url } = yield* settledAndGoneOn
      const applier = worker(url, yield* agent(url).take)
      const { json } = yield* applier.lock("b")
      yield* applier.pushState(stateWith(["a", "1"], ["b", "7"]), "b", json.epoch)
      yield* applier.unlock("b")
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      yield* append(...made.slice(0, 4))
      const [rescue] = yield* pending(url)
      expect(rescue).toMatchObject({ effects: { unsaved: [{ address: "time_sleep.b", id: "2", replaces: true }] } })
      expect(importBlocks((rescue as { readonly effects: LeftOver }).effects)).toContain("or a newer one that a later apply made")
    }))

  it.live("leaves what only a person can look for", () =>
    Effect.gen(function*() {
      const { import: start, url } = yield* doubted(made)
      yield* imported(url, (yield* start).json.runId, ["a", "1"], ["b", "2"])
      expect(yield* pending(url)).toMatchObject([{ effects: { unsavedCount: 0, unknown: [{ address: "time_sleep.c" }] } }])
      expect(yield* agent(url).acquire()).toEqual([])
    }))

  it.live("leaves it to a person when a refused state of the stage has come, which may have more", () =>
    Effect.gen(function*() {
      const { applier, import: start, url } = yield* doubted([...made.slice(0, 4), entry(5, "closed", "")])
      const { runId } = (yield* start).json
      yield* applier.pushState({ ...stateWith(["a", "1"], ["b", "2"], ["d", "4"]), serial: 9 }, "a", 1)
      yield* imported(url, runId, ["a", "1"], ["b", "2"])
      expect(yield* pending(url)).toMatchObject([{ stage: expect.any(String) }])
      expect((yield* person(url).settle("demo", { use: (yield* person(url).state("demo")).evidence[0].id })).json.version.serial).toBe(9)
    }))

  it.live("settles the rescue though there is a refused state of the stage, if a person decided on that before the doubt came back", () =>
    Effect.gen(function*() {
      const { applier, import: start, url } = yield* doubted(made.slice(0, 4))
      yield* applier.pushState({ ...stateWith(["a", "1"], ["b", "2"]), serial: 9 }, "a", 1)
      expect((yield* person(url).settle("demo")).json.pending).toEqual([])
      yield* applier.as("POST", taskPath.effects, {
        entries: [entry(5, "started", "time_sleep.c"), entry(6, "done", "time_sleep.c", "3"), entry(7, "closed", "")]
      }) // the worker that was lost comes back
      yield* imported(url, (yield* start).json.runId, ["a", "1"], ["b", "2"], ["c", "3"])
      expect(yield* pending(url)).toEqual([])
    }))

  it.live("ends with its rescue, wherever it is by then: no other apply of the workspace finds it beside itself", () =>
    Effect.gen(function*() {
      const { import: start, url, waiting } = yield* doubted(made)
      const { runId } = (yield* start).json
      yield* planWith(url, "the plan", importing)
      yield* person(url).act(runId, "apply")
      const [offered] = yield* agent(url).acquire()
      expect(offered).toMatchObject({ runId, stage: "apply" })
      expect((yield* person(url).settle("demo")).status).toBe(200)
      expect((yield* person(url).view(runId)).status).toBe("canceled")
      expect((yield* person(url).act(runId, "apply")).status).toBe(409)
      expect((yield* agent(url).take).runId).toBe(waiting)
      expect((yield* worker(url, offered!).lock("late")).status).toBe(401)
    }))

  it.live("is waited for, or stopped first, once its apply is out: until then its rescue stays", () =>
    Effect.gen(function*() {
      const { import: start, url } = yield* doubted(made)
      const { runId } = (yield* start).json
      yield* planWith(url, "the plan", importing)
      yield* person(url).act(runId, "apply")
      const { id } = yield* agent(url).take
      expect(yield* person(url).settle("demo")).toMatchObject({
        status: 409,
        json: { error: "import-runs", message: expect.stringContaining(`or stop it with: agent-job cancel ${runId}`) }
      })
      expect(yield* agent(url).acquire()).toEqual([])
      yield* person(url).act(runId, "cancel")
      yield* agent(url).report(id, { ...failed(), outcome: "cancelled", reason: "Cancelled" })
      expect((yield* person(url).settle("demo")).json.pending).toEqual([])
    }))

  it.live("does not begin beside an apply that was at work before the doubt came", () =>
    Effect.gen(function*() {
      const { append, second, url } = yield* settledAndGoneOn
      const applier = worker(url, yield* agent(url).take)
      yield* applier.lock("b")
      yield* append(...made.slice(0, 2)) // the worker that was lost comes back
      const start = person(url).as("POST", "/api/agent-job/v1/workspaces/demo/state/import")
      expect(yield* start).toMatchObject({
        status: 409,
        json: { error: "wrong-moment", message: expect.stringContaining(`The run ${second} is still applying`) }
      })
      yield* applier.unlock("b")
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      expect((yield* start).status).toBe(200)
    }))

  it.live("begins beside a plan that is at work and an apply that has not begun, which changes nothing before the doubt is settled", () =>
    Effect.gen(function*() {
      const { append, url } = yield* settledAndGoneOn
      yield* agent(url).take
      yield* person(url).start("demo", { "plan-only": true })
      yield* worker(url, yield* agent(url).take).log(0, "begun")
      yield* append(...made.slice(0, 2)) // the worker that was lost comes back
      expect((yield* person(url).as("POST", "/api/agent-job/v1/workspaces/demo/state/import")).status).toBe(200)
    }))

  it.live("is for whichever rescue has something to import, though an older one has nothing", () =>
    Effect.gen(function*() {
      const { append, apply, url } = yield* applying
      yield* append(...made.slice(0, 2))
      yield* agent(url).report(apply.id, lost)
      yield* lostAfter(url, entry(1, "started", "time_sleep.c"))
      yield* append(...made.slice(2, 4)) // the worker that was lost comes back
      expect(yield* pending(url)).toHaveLength(2)
      expect((yield* person(url).as("POST", "/api/agent-job/v1/workspaces/demo/state/import")).json.addresses).toEqual([
        "time_sleep.a",
        "time_sleep.b"
      ])
    }))

  it.live.each([
    { state: "too large", pushed: stateWith(["a", "1"]), heapBytes: 1024 },
    { state: "encrypted", pushed: encrypted, heapBytes: 2 ** 30 }
  ])("is refused where the server cannot look into the state, which is $state: it would be for what the state has, again and again", ({
    heapBytes,
    pushed
  }) =>
    Effect.gen(function*() {
      const { append, applier, apply, url } = yield* applying.pipe(Effect.provideService(Heap, heapBytes))
      yield* append(...made.slice(0, 4))
      yield* applier.pushState(pushed, "a", 1)
      yield* agent(url).report(apply.id, lost)
      const { json, status } = yield* person(url).as("POST", statePath.import("demo"))
      expect([status, json.error, json.message]).toEqual([
        409,
        "state-unread",
        `The state of demo is encrypted, damaged, or too large for the server to look into, so nobody knows whether it has what ${apply.id} made; import by hand what it lacks, with: agent-job state rescue demo --import-blocks FILE, and then settle with --keep.`
      ])
    }))

  it.live("is refused where the file of the state is damaged, which counts as unread and not as empty", () =>
    Effect.gen(function*() {
      const { append, applier, apply, effects, folder, url } = yield* applying
      yield* append(...made.slice(0, 2))
      yield* applier.pushState(stateWith(["a", "1"]), "a", 1)
      const file = join(folder, "data", "blobs", (yield* person(url).state("demo")).version.sha256)
      const bytes = readFileSync(file)
      writeFileSync(file, bytes.with(-1, bytes.at(-1)! ^ 1))
      yield* agent(url).report(apply.id, lost)
      expect(yield* effects).toMatchObject({ unsavedCount: 1, unread: true })
      expect(yield* pending(url)).toMatchObject([{
        message: expect.stringContaining("The state may already contain some of this: it is encrypted, damaged, or too large"),
        effects: { unsavedCount: 1, unread: true }
      }])
      expect(yield* person(url).as("POST", statePath.import("demo"))).toMatchObject({ status: 409, json: { error: "state-unread" } })
      expect(yield* agent(url).acquire()).toEqual([])
    }))

  it.live("is refused where the configuration's file is damaged, whose bytes it would give another digest, and told to the log", () =>
    Effect.gen(function*() {
      const { append, apply, folder, url } = yield* applying
      yield* append(...made.slice(0, 2))
      yield* agent(url).report(apply.id, lost)
      const file = join(folder, "data", "blobs", apply.archiveSha256)
      const bytes = readFileSync(file)
      for (const damaged of [bytes.subarray(0, 5), bytes.with(-1, bytes.at(-1)! ^ 1)]) {
        writeFileSync(file, damaged)
        expect(yield* person(url).as("POST", statePath.import("demo"))).toMatchObject({ status: 503, json: { error: "damaged" } })
      }
      expect(yield* agent(url).acquire()).toEqual([])
      writeFileSync(file, bytes)
      expect((yield* person(url).as("POST", statePath.import("demo"))).status).toBe(200)
      const { archiveSha256, taskToken } = yield* agent(url).take
      const archive = worker(url, { taskToken }).as("GET", taskPath.archive)
      expect((yield* archive).status).toBe(200)
      truncateSync(join(folder, "data", "blobs", archiveSha256), 5) // no row has its size
      expect(yield* archive).toMatchObject({ status: 503, json: { error: "damaged" } })
    }))

  it.live("does not begin for a rescue that a person settles while its archive is made", () =>
    Effect.gen(function*() {
      const { blobs, import: start, url, waiting } = yield* doubted(made)
      const { receive } = blobs
      vi.spyOn(blobs, "receive").mockImplementationOnce((bytes, limits) => Effect.tap(receive(bytes, limits), person(url).settle("demo")))
      expect(yield* start).toMatchObject({ status: 409, json: { error: "nothing-pending" } })
      expect((yield* agent(url).acquire()).map(({ runId }) => runId)).toEqual([waiting])
    }))

  it.live("is refused a second time while it runs, and where there is nothing to import", () =>
    Effect.gen(function*() {
      const { import: start, url } = yield* doubted(made)
      const { json } = yield* start
      expect(yield* start).toMatchObject({ status: 409, json: { error: "import-runs" } })
      yield* person(url).act(json.runId, "cancel")
      const both = yield* Effect.all([start, start], { concurrency: "unbounded" })
      expect(both.map(({ status }) => status).sort()).toEqual([200, 409])
      const calm = yield* server
      expect(yield* person(calm).as("POST", "/api/agent-job/v1/workspaces/none/state/import")).toMatchObject({
        status: 409,
        json: { error: "nothing-pending" }
      })
      const unknown = yield* doubted([entry(1, "started", "time_sleep.c")])
      expect(yield* unknown.import).toMatchObject({
        status: 409,
        json: { error: "nothing-to-import", message: expect.stringContaining("agent-job state rescue demo") }
      })
    }))
})
