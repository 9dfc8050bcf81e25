// The epoch machine against its model: whatever stages and people do to the state of a workspace, in any order, late or twice.
import { describe, expect, layer } from "@effect/vitest"
import { Effect, Layer, Option, Schema, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { RunId, Sha256, WorkspaceName } from "../../../src/schema/names.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { Commits } from "../../../src/server/store/commits.ts"
import { layerDatabase } from "../../../src/server/store/database.ts"
import { NamedBlobs } from "../../../src/server/store/named-blobs.ts"
import { Evidence } from "../../../src/server/workspace/evidence.ts"
import { Rescues } from "../../../src/server/workspace/rescues.ts"
import { StateLocks } from "../../../src/server/workspace/state-locks.ts"
import { StateVersions } from "../../../src/server/workspace/state-versions.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import { sha256 } from "../live-server.ts"

/** Blobs in memory, because the laws are not about the disk. `aside` is the body itself instead of a path. */
const blobs = Layer.sync(Blobs, () => {
  const files = new Map<string, Uint8Array>()
  return Blobs.of({
    receive: (bytes) =>
      Effect.map(Stream.runCollect(bytes), (chunks) => {
        const whole = Buffer.concat(chunks)
        return { sha256: Sha256.make(sha256(whole)), sizeBytes: whole.length, aside: whole.toString("latin1") }
      }),
    store: (received) => Effect.sync(() => void files.set(received.sha256, Buffer.from(received.aside, "latin1"))),
    read: (name) => Effect.fromOption(Option.fromUndefinedOr(files.get(name))).pipe(Effect.orDie),
    remove: (name) => Effect.sync(() => void files.delete(name)),
    stream: () => Stream.never,
    check: () => Effect.never,
    head: () => Effect.never,
    sizeOfWhole: () => Effect.never,
    about: () => Effect.never,
    all: Stream.never,
    probe: Effect.never,
    spareRoom: Effect.void
  })
})

const stores = StateVersions.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(Evidence.layer, Rescues.layer, StateLocks.layer)),
  Layer.provideMerge(NamedBlobs.layer),
  Layer.provideMerge(Workspaces.layer),
  Layer.provideMerge(Commits.layer),
  Layer.provideMerge(layerDatabase(":memory:")),
  Layer.provideMerge(blobs)
)

const who = Schema.Literals(["one", "two"])
const oneOfTwo = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
/** An end, a forced unlock and each flaw of a push happen at one number only; otherwise little would ever be stored. */
const dice = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))
const Step = Schema.Union([
  Schema.TaggedStruct("Lock", { who, id: oneOfTwo }),
  Schema.TaggedStruct("Unlock", { who, id: oneOfTwo }),
  Schema.TaggedStruct("Push", { who, flaw: dice, serialStep: Schema.Literals([-1, 0, 1]), otherLine: dice, content: dice }),
  Schema.TaggedStruct("PushAgain", { who }),
  Schema.TaggedStruct("ForceUnlock", { id: oneOfTwo, dice }),
  Schema.TaggedStruct("End", { who, dice })
])
const Steps = Schema.Array(Step).check(Schema.isMinLength(12), Schema.isMaxLength(24))

type Who = typeof who.Type
type Push = { readonly id: number; readonly epoch: number; readonly serial: number; readonly lineage: string; readonly text: string }

/** What the server should have: the lock with its holder, the epoch, and the state that was acknowledged last. */
interface Model {
  epoch: number
  lock: { readonly who: Who; readonly id: number } | undefined
  stored: { readonly serial: number; readonly lineage: string; readonly text: string } | undefined
  readonly fenced: Set<Who>
  readonly ended: Set<Who>
}

let count = 0

const pushed = (model: Model, by: Who, { epoch, id, lineage, serial, text }: Push): boolean => {
  const { lock, stored } = model
  if (lock === undefined || lock.who !== by || lock.id !== id || epoch !== model.epoch) return false
  if (stored === undefined || stored.text === text) return true
  return stored.lineage === lineage && serial > stored.serial
}

describe("the epoch machine", () => {
  layer(stores)((it) => {
    it.effect.prop(
      "takes a state only under the current lock and epoch, never lets the serial fall, loses nothing it acknowledged and keeps what it refused",
      { steps: Steps },
      ({ steps }) =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const [evidence, locks, states, workspaces] = [yield* Evidence, yield* StateLocks, yield* StateVersions, yield* Workspaces]
          const n = count++
          const { id: workspaceId } = yield* workspaces.ensure(WorkspaceName.make(`w${n}`))
          const runId = RunId.make(`run-${n}`)
          const stageOf = (by: Who) => ({ id: `run-${n}.${by}`, stage: "apply", runId })
          const at = "2026-01-31T12:00:00Z"
          yield* sql`INSERT INTO configurationVersions ${
            sql.insert({ id: `cv-${n}`, seq: n, workspaceId, speculative: 0, status: "uploaded", createdAt: at })
          }`
          yield* sql`INSERT INTO runs ${
            sql.insert({
              id: runId,
              seq: n,
              workspaceId,
              configurationVersionId: `cv-${n}`,
              archiveSha256: "",
              status: "applying",
              planOnly: 0,
              autoApply: 0,
              cancelAsked: 0,
              destroy: 0,
              message: "",
              options: "{}",
              variables: "[]",
              createdAt: at,
              timestamps: "{}"
            })
          }`
          for (const [k, by] of (["one", "two"] as const).entries()) {
            yield* sql`INSERT INTO stages ${sql.insert({ id: stageOf(by).id, seq: 2 * n + k, runId, stage: "apply", attempt: k + 1 })}`
          }

          const model: Model = { epoch: 0, lock: undefined, stored: undefined, fenced: new Set(), ended: new Set() }
          const last = new Map<Who, Push>()
          const push = (by: Who, given: Push) => {
            const bytes = new TextEncoder().encode(given.text)
            const stage = stageOf(by)
            if (model.ended.has(by)) return states.keepAsEvidence(stage.id, workspaceId, { bytes, why: "late" })
            const writer = { holder: stage.id, epoch: Option.some(given.epoch), runId }
            return Effect.as(states.accept(workspaceId, { bytes, sha256: undefined, lockId: String(given.id), by: writer }), undefined)
          }
          const send = Effect.fnUntraced(function*(by: Who, given: Push) {
            last.set(by, given)
            const everStored =
              (yield* sql`SELECT id FROM stateVersions WHERE workspaceId = ${workspaceId} AND serial = ${given.serial} AND lineage = ${given.lineage}`)
                .length > 0
            const answer = yield* Effect.exit(push(by, given))
            const isKept = answer._tag === "Failure" || (answer.value !== undefined && answer.value._tag !== "Stored")
            if (model.ended.has(by)) { // a late state is never stored; the server may say that it was stored before
              if (!isKept) expect(everStored).toBe(true)
            } else {
              expect([by, given, answer._tag === "Success"]).toEqual([by, given, pushed(model, by, given)])
              if (answer._tag === "Success") model.stored = given
            }
            if (isKept) {
              const ofStage = (yield* evidence.list(workspaceId)).filter(({ stageId }) => stageId === stageOf(by).id)
              if (!ofStage.some((kept) => kept.sha256 === sha256(given.text))) expect(ofStage).toHaveLength(8)
            }
          })

          for (const step of steps) {
            switch (step._tag) {
              case "Lock": {
                const { lock } = model
                const isFree = lock === undefined && !model.fenced.has(step.who)
                const isAgain = lock?.who === step.who && lock.id === step.id && !model.fenced.has(step.who)
                const answer = yield* Effect.exit(locks.lock(workspaceId, { ID: String(step.id) }, { stage: stageOf(step.who).id }))
                expect(answer._tag === "Success").toBe(!model.ended.has(step.who) && (isFree || isAgain))
                if (answer._tag === "Success" && isFree) [model.epoch, model.lock] = [model.epoch + 1, { who: step.who, id: step.id }]
                if (answer._tag === "Success") expect(answer.value).toBe(model.epoch)
                break
              }
              case "Unlock": {
                const { lock } = model
                const answer = yield* Effect.exit(locks.unlock(workspaceId, String(step.id), { stage: stageOf(step.who).id }))
                const isOwn = lock?.who === step.who && lock.id === step.id
                expect(answer._tag === "Success").toBe(lock === undefined || isOwn)
                if (isOwn) model.lock = undefined
                break
              }
              case "Push": {
                const serial = Math.max(0, (model.stored?.serial ?? 1) + step.serialStep)
                const [id, epoch, lineage] = [
                  step.flaw === 0 ? -1 : model.lock?.id ?? 0,
                  step.flaw === 1 ? model.epoch - 1 : model.epoch,
                  step.otherLine === 0 ? "m" : "l"
                ]
                yield* send(step.who, {
                  id,
                  epoch,
                  serial,
                  lineage,
                  text: JSON.stringify({ version: 4, serial, lineage, content: step.content })
                })
                break
              }
              case "PushAgain": {
                const again = last.get(step.who)
                if (again !== undefined) yield* send(step.who, again)
                break
              }
              case "ForceUnlock": {
                if (step.dice > 0) break
                const answer = yield* Effect.exit(locks.forceUnlock(workspaceId, String(step.id), "somebody"))
                expect(answer._tag === "Success").toBe(model.lock === undefined || model.lock.id === step.id)
                if (model.lock?.id !== step.id) break
                model.fenced.add(model.lock.who)
                ;[model.epoch, model.lock] = [model.epoch + 1, undefined]
                break
              }
              case "End": {
                if (step.dice > 0) break
                yield* sql`UPDATE stages SET endedAt = ${at} WHERE id = ${stageOf(step.who).id}`
                yield* locks.release(stageOf(step.who).id)
                if (model.lock?.who === step.who) model.lock = undefined
                model.ended.add(step.who)
              }
            }
            const current = yield* states.current(workspaceId)
            const text = current === undefined ? undefined : new TextDecoder().decode(yield* states.read(current))
            expect([(yield* workspaces.get(workspaceId)).epoch, current?.serial, text]).toEqual([
              model.epoch,
              model.stored?.serial,
              model.stored?.text
            ])
          }
          const versions = yield* sql<
            { serial: number; lineage: string }
          >`SELECT serial, lineage FROM stateVersions WHERE workspaceId = ${workspaceId} ORDER BY seq`
          for (const [k, { lineage, serial }] of versions.slice(1).entries()) {
            expect(serial).toBeGreaterThan(versions[k]!.serial)
            expect(lineage).toBe(versions[k]!.lineage)
          }
        })
    )
  })
})
