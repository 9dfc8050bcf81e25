import { describe, expect, it, vi } from "@effect/vitest"
import { Context, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { type AuditEntry, auditPath } from "../../../src/schema/api/audit.ts"
import { statePath } from "../../../src/schema/api/state.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { Tokens } from "../../../src/server/access/tokens.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { sealed } from "../../../src/worker/state/stranded-states.ts"
import { doubtOf } from "../doubted-state.ts"
import { agent, directory, failed, person, planWith, serveOpenly, state, succeeded, withChanges, worker } from "../live-server.ts"
import { entry } from "../run/applying.ts"

const bytes = (serial: number) => Buffer.from(JSON.stringify(state(serial)))
/** A state that is nested too deep to be parsed. */
const deep = (serial: number) => Buffer.from(`{"serial":${serial},"lineage":"l","deep":${"[".repeat(500)}${"]".repeat(500)}}`)

/** Makes each state that is evidence now so large: by default, as all that a workspace may have. */
const fill = (context: Context.Context<never>, sizeBytes = 512 * 1024 * 1024) =>
  Context.getUnsafe(context, SqlClient.SqlClient)`UPDATE evidence SET sizeBytes = ${sizeBytes}`

/** An apply of `demo` with the key of its kept states, and a plan of another workspace that runs beside it. */
const applying = Effect.gen(function*() {
  const { context, url } = yield* Effect.flatMap(directory, (made) => serveOpenly(made))
  yield* person(url).start("demo", { "auto-apply": true })
  const plan = yield* planWith(url)
  const apply = yield* agent(url).take
  const applier = worker(url, apply)
  const key = Buffer.from(String((yield* applier.as("GET", taskPath.assignment)).json.keptStateKey), "hex")
  yield* applier.lock("a")
  yield* applier.pushState(state(1), "a", 1)
  yield* person(url).start("other")
  const other = worker(url, yield* agent(url).take)
  const carry = (kept: Uint8Array) => other.as("POST", taskPath.keptState, kept)
  const looked = Effect.map(person(url).as("GET", statePath.state("demo")), ({ json }) => json)
  const lose = agent(url).report(apply.id, { ...failed(), reason: "NodeLost" })
  const bring = (body: Uint8Array, workspace = "demo") => person(url).as("POST", statePath.bring(workspace), body)
  const keyOf = (stage: string) => Buffer.from(Context.getUnsafe(context, Tokens).secretOf(`kept state ${stage}`), "hex")
  return { context, url, plan, apply, applier, key, keyOf, other, carry, looked, lose, bring }
})

describe("a refused state", () => {
  it.live("that was decided on leaves no doubt any more, also where the clock was put back before the decision", () =>
    Effect.gen(function*() {
      const { applier, context, looked, lose, url } = yield* applying
      yield* applier.pushState(state(9), "stranger", 1)
      yield* lose
      const sql: SqlClient.SqlClient = Context.getUnsafe(context, SqlClient.SqlClient)
      yield* sql`UPDATE evidence SET receivedAt = '2999-01-01T00:00:00Z'`
      yield* person(url).settle("demo")
      yield* applier.as("POST", taskPath.effects, { entries: [{ number: 1, kind: "closed", action: "create", address: "" }] })
      expect((yield* looked).pending).toEqual([])
      yield* applier.pushState(state(10), "stranger", 1)
      expect((yield* looked).pending).toHaveLength(1)
    }))

  it.live("is dropped where those that wait for a person fill its workspace, and no other, and says so", () =>
    Effect.gen(function*() {
      const { apply, carry, context, key, looked, lose, url } = yield* applying
      yield* lose
      yield* person(url).settle("demo")
      yield* person(url).start("demo", { "auto-apply": true })
      yield* planWith(url)
      const next = worker(url, yield* agent(url).take)
      yield* next.lock("b")
      yield* carry(sealed(apply.id, key, bytes(7)))
      expect((yield* looked).pending).toHaveLength(1)
      yield* fill(context)
      const refused = yield* next.pushState(state(9), "stranger", 1)
      expect([refused.status, refused.json.kept, refused.json.message]).toEqual([
        409,
        undefined,
        expect.stringContaining(
          "It is not kept, since its workspace has as many states as the server keeps there of stages that run or wait for a rescue."
        )
      ])
      yield* person(url).start("another", { "auto-apply": true })
      yield* planWith(url)
      expect((yield* worker(url, yield* agent(url).take).pushState(state(9), "stranger", 1)).json.kept).toBe(true)
    }))
})

describe("evidence", () => {
  const storedOf = ({ evidence }: { readonly evidence: ReadonlyArray<{ readonly storedVersion?: string }> }) =>
    evidence.map(({ storedVersion }) => storedVersion)

  it.live("says which version was stored when it came, but not once its workspace went on since", () =>
    Effect.gen(function*() {
      const { apply, carry, key, looked, lose, url } = yield* applying
      yield* lose
      for (const serial of [6, 7]) yield* carry(sealed(apply.id, key, bytes(serial)))
      const { version } = yield* looked
      expect(storedOf(yield* looked)).toEqual([version.id, version.id])
      yield* person(url).settle("demo")
      yield* person(url).start("demo", { "auto-apply": true })
      yield* planWith(url)
      const next = worker(url, yield* agent(url).take)
      yield* next.pushState(state(2), "b", (yield* next.lock("b")).json.epoch)
      yield* carry(sealed(apply.id, key, bytes(8)))
      expect((yield* looked).version.serial).toBe(2)
      expect(storedOf(yield* looked)).toEqual([undefined, version.id, version.id])
      yield* carry(sealed(apply.id, key, bytes(9))) // also while the rescue that the last one opened waits
      expect(storedOf(yield* looked)).toEqual([undefined, undefined, version.id, version.id])
    }))

  it.live("names no version when its stage ended in order, as others may have stored states since", () =>
    Effect.gen(function*() {
      const { applier, apply, carry, key, looked } = yield* applying
      yield* applier.unlock("a")
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      for (const serial of [7, 8]) yield* carry(sealed(apply.id, key, bytes(serial))) // the first opens a rescue
      expect(storedOf(yield* looked)).toEqual([undefined, undefined])
    }))

  it.live("names no version while the second rescue of its stage waits, whatever opened that", () =>
    Effect.gen(function*() {
      const { applier, apply, carry, key, looked, lose, url } = yield* applying
      yield* lose
      yield* person(url).settle("demo")
      yield* applier.as("POST", taskPath.effects, { entries: [entry(1, "done", "time_sleep.a", "1")] })
      expect((yield* looked).pending).toHaveLength(1)
      yield* carry(sealed(apply.id, key, bytes(7)))
      expect(storedOf(yield* looked)).toEqual([undefined])
    }))

  it.live("names no version when nothing says which stage wrote it, or that stage is not known", () =>
    Effect.gen(function*() {
      const { bring, context, looked, lose } = yield* applying
      yield* lose
      const key = Buffer.from(Context.getUnsafe(context, Tokens).secretOf("kept state run-gone.apply.1"), "hex")
      yield* bring(bytes(7))
      yield* bring(sealed("run-gone.apply.1", key, bytes(8)))
      expect(storedOf(yield* looked)).toEqual([undefined, undefined])
    }))
})

describe("a kept state", () => {
  it.live("becomes evidence of the stage that it is of, whoever brings it and however often", () =>
    Effect.gen(function*() {
      const { apply, carry, key, looked, lose, url } = yield* applying
      yield* lose
      for (const _ of [1, 2]) expect((yield* carry(sealed(apply.id, key, bytes(7)))).status).toBe(204)
      expect((yield* looked).evidence).toMatchObject([{
        stage: apply.id,
        serial: 7,
        lineage: "l",
        why: expect.stringContaining("kept outside of its Pod")
      }])
      expect((yield* looked).version.serial).toBe(1)
      for (const path of [auditPath.workspace("demo"), auditPath.run(apply.runId), auditPath.workspace("other")]) {
        const { entries } = (yield* person(url).as("GET", path)).json
        expect(entries.filter(({ object }: AuditEntry) => object === apply.id).map(({ action }: AuditEntry) => action).slice(0, 2))
          .toEqual([1, 2].map(() => "POST /api/task/v1/kept-state (kept as evidence)"))
      }
    }))

  it.live("opens a rescue when none is open, though the stage seemed to end in order", () =>
    Effect.gen(function*() {
      const { applier, apply, carry, key, looked, url } = yield* applying
      yield* applier.unlock("a")
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      expect((yield* carry(sealed(apply.id, key, bytes(1)))).status).toBe(204) // this state is stored already
      expect((yield* looked).pending).toEqual([])
      expect((yield* person(url).as("GET", auditPath.all)).json.entries[0]) // though nothing was changed
        .toMatchObject({ action: `POST ${taskPath.keptState}`, object: apply.id })
      expect((yield* carry(sealed(apply.id, key, bytes(7)))).status).toBe(204)
      expect((yield* looked).pending).toHaveLength(1)
    }))

  it.live("becomes evidence also when it is too much to be parsed, but not when it is no state", () =>
    Effect.gen(function*() {
      const { apply, carry, key, looked, lose } = yield* applying
      yield* lose
      expect((yield* carry(sealed(apply.id, key, deep(7)))).status).toBe(204)
      expect((yield* carry(sealed(apply.id, key, Buffer.from("[".repeat(600))))).status).toBe(422)
      expect((yield* looked).evidence).toMatchObject([{
        stage: apply.id,
        serial: 7,
        lineage: "l",
        why: expect.stringMatching(/kept outside of its Pod\. The state is nested more than 500 levels deep, more than the server reads;/u)
      }])
    }))

  it.live.each([
    { given: "eight", count: 8, sizeBytes: 1 },
    { given: "one larger than all may be together, which stays", count: 1, sizeBytes: 129 * 1024 * 1024 }
  ])(
    "is left where it is when the server keeps nothing of it, since it has of higher serials $given",
    ({ count, sizeBytes }) =>
      Effect.gen(function*() {
        const { apply, bring, carry, context, key, looked, lose } = yield* applying
        yield* lose
        for (let nth = 0; nth < count; nth++) yield* carry(sealed(apply.id, key, bytes(10 + nth)))
        yield* fill(context, sizeBytes)
        const message =
          `The server has nothing of this state of ${apply.id}, so its copy is to stay where it is. It is not kept, since states of higher serials are.`
        for (const refused of [carry(sealed(apply.id, key, bytes(7))), bring(sealed(apply.id, key, bytes(7))), bring(bytes(7))]) {
          expect(yield* refused).toMatchObject({ status: 409, json: { error: "not-kept", message } })
        }
        expect((yield* looked).evidence).toHaveLength(count)
      })
  )

  it.live("takes the place of another stage's highest in no case, and is to be brought again once a person has settled that", () =>
    Effect.gen(function*() {
      const { applier, apply, bring, carry, context, key, looked, url } = yield* applying
      yield* applier.unlock("a")
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      yield* person(url).start("demo", { "auto-apply": true })
      yield* planWith(url)
      const next = yield* agent(url).take
      const nexter = worker(url, next)
      const { epoch } = (yield* nexter.lock("b")).json
      expect(
        (yield* nexter.pushState(state(7, "l", { outputs: { only: { value: "copy", type: "string" } } }), "stranger", epoch)).json.kept
      )
        .toBe(true)
      yield* fill(context)
      const message =
        `The server has nothing of this state of ${apply.id}, so its copy is to stay where it is. ${"It is not kept, since its workspace has as many states as the server keeps there of stages that run or wait for a rescue."}`
      for (const refused of [carry(sealed(apply.id, key, bytes(100))), bring(sealed(apply.id, key, bytes(100)))]) {
        expect(yield* refused).toMatchObject({ status: 409, json: { error: "evidence-full", message } })
      }
      expect(yield* looked).toMatchObject({ evidence: [{ stage: next.id, serial: 7 }], pending: [] })
      yield* agent(url).report(next.id, { ...failed(), reason: "NodeLost" })
      expect((yield* carry(sealed(apply.id, key, bytes(100)))).json.error).toBe("evidence-full")
      expect((yield* looked).evidence).toMatchObject([{ stage: next.id, serial: 7 }])
      yield* doubtOf(url, "another")
      yield* person(url).settle("demo")
      expect((yield* carry(sealed(apply.id, key, bytes(100)))).status).toBe(204)
    }))

  it.live("of a plan is refused, since a plan makes none, and opens no rescue", () =>
    Effect.gen(function*() {
      const { bring, carry, keyOf, looked, lose, plan } = yield* applying
      yield* lose
      const forged = sealed(plan.id, keyOf(plan.id), bytes(100))
      const message = `The stage ${plan.id} is a plan, which makes no state, so nothing of this is kept; look at where it comes from.`
      for (const refused of [carry(forged), bring(forged)]) {
        expect(yield* refused).toMatchObject({ status: 409, json: { error: "not-kept", message } })
      }
      expect((yield* looked).evidence).toEqual([])
    }))

  it.live("opens no rescue when nothing of it is kept", () =>
    Effect.gen(function*() {
      const { apply, carry, key, looked, lose, url } = yield* applying
      yield* lose
      for (let serial = 10; serial < 18; serial++) yield* carry(sealed(apply.id, key, bytes(serial)))
      yield* person(url).settle("demo")
      expect((yield* carry(sealed(apply.id, key, bytes(7)))).json.error).toBe("not-kept")
      expect((yield* looked).pending).toEqual([])
    }))

  it.live("is left where it is while its stage still runs", () =>
    Effect.gen(function*() {
      const { apply, carry, key, looked } = yield* applying
      expect((yield* carry(sealed(apply.id, key, bytes(7)))).json).toMatchObject({
        error: "not-over",
        message: expect.stringContaining("bring this copy once it is over")
      })
      expect((yield* looked).evidence).toEqual([])
    }))

  it.live.each([
    {
      given: "with a byte that is another",
      spoil: (kept: Buffer) => {
        kept[kept.length - 1]! ^= 1
      }
    },
    {
      given: "with another tag",
      spoil: (kept: Buffer) => {
        kept[kept.indexOf("\n") + 14]! ^= 1
      }
    },
    {
      given: "in the name of another stage",
      spoil: (kept: Buffer) => {
        kept.write("2", kept.indexOf("\n") - 1)
      }
    },
    {
      given: "that is cut short",
      spoil: (kept: Buffer) => {
        kept.fill(0, kept.indexOf("\n") + 1)
      }
    }
  ])("is refused $given", ({ spoil }) =>
    Effect.gen(function*() {
      const { apply, carry, key, looked, lose } = yield* applying
      yield* lose
      const kept = Buffer.from(sealed(apply.id, key, bytes(7)))
      spoil(kept)
      expect(yield* carry(kept)).toMatchObject({
        status: 409,
        json: { error: "not-of-this-server", message: expect.stringContaining("it is left where it is; bring another copy") }
      })
      expect((yield* looked).evidence).toEqual([])
    }))

  it.live("is refused for good when it does not begin as one", () =>
    Effect.gen(function*() {
      const { carry } = yield* applying
      expect(yield* carry(bytes(7))).toMatchObject({ status: 422, json: { error: "invalid" } })
    }))

  it.live("is refused when another stage made it with its own key", () =>
    Effect.gen(function*() {
      const { apply, carry, lose, other } = yield* applying
      yield* lose
      const foreign = Buffer.from(String((yield* other.as("GET", taskPath.assignment)).json.keptStateKey), "hex")
      expect((yield* carry(sealed(apply.id, foreign, bytes(7)))).json.error).toBe("not-of-this-server")
    }))
})

describe("a kept state whose stage the database does not have, as it was restored", () => {
  const gone = "run-gone.apply.1"
  const keyIn = (context: Context.Context<never>) => Buffer.from(Context.getUnsafe(context, Tokens).secretOf(`kept state ${gone}`), "hex")

  it.live("is left where it is by a worker, not for good, and says what a person can do", () =>
    Effect.gen(function*() {
      const { carry, context, looked } = yield* applying
      const message =
        `The stage ${gone}, which left this kept state, is not in this server's database, as after a restore, so the state is left where it is; bring it yourself with: agent-job state rescue NAME --file FILE`
      expect(yield* carry(sealed(gone, keyIn(context), bytes(7)))).toMatchObject({
        status: 409,
        json: { error: "not-of-this-server", message }
      })
      expect((yield* looked).evidence).toEqual([])
    }))

  it.live("is evidence once a person brings it, of a rescue that it opens of the newest stage, and can become the state", () =>
    Effect.gen(function*() {
      const { applier, apply, bring, context, looked, url } = yield* applying
      yield* applier.unlock("a")
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      const kept = sealed(gone, keyIn(context), bytes(7))
      for (const _ of [1, 2]) expect((yield* bring(kept)).status).toBe(200)
      const { evidence, pending } = yield* looked
      const doubt = `The stage ${gone}, which is not in the database, left a state`
      expect([evidence, pending]).toMatchObject([
        [{ stage: apply.id, serial: 7, why: expect.stringContaining(`${doubt}, which `) }],
        [{ stage: apply.id, reason: "StateNotSaved", message: doubt }]
      ])
      yield* person(url).settle("demo", { use: evidence[0].id })
      expect(yield* looked).toMatchObject({ version: { serial: 7 }, pending: [] })
    }))

  it.live("is evidence of the stage that is in doubt already", () =>
    Effect.gen(function*() {
      const { apply, bring, context, lose } = yield* applying
      yield* lose
      expect((yield* bring(sealed(gone, keyIn(context), bytes(7)))).json).toMatchObject({
        evidence: [{ stage: apply.id, serial: 7 }],
        pending: [{ stage: apply.id, reason: "NodeLost" }]
      })
    }))

  it.live("is parsed as a plain file is, and waits for the first plan of a workspace that has had none", () =>
    Effect.gen(function*() {
      const { bring, context, lose } = yield* applying
      const key = keyIn(context)
      expect((yield* bring(sealed(gone, key, bytes(7)), "other")).json).toMatchObject({
        error: "not-of-this-server",
        message: expect.stringContaining("plan other once, then bring it again")
      })
      yield* lose
      expect((yield* bring(sealed(gone, key, Buffer.from("no state")))).json.error).toBe("invalid")
      expect((yield* bring(sealed("run-gone.apply.2", key, bytes(7)))).json.error).toBe("not-of-this-server")
    }))
})

describe("a file that a person brings", () => {
  it.live("may be a kept state, or a state as the engine writes it, for the stage that is in doubt", () =>
    Effect.gen(function*() {
      const { apply, bring, key, lose, url } = yield* applying
      expect((yield* bring(bytes(8))).json.error).toBe("nothing-pending")
      yield* lose
      expect((yield* bring(sealed(apply.id, key, bytes(7)))).json.evidence).toMatchObject([{ serial: 7 }])
      expect((yield* bring(bytes(8))).json.evidence).toMatchObject([
        { serial: 8, stage: apply.id, why: expect.stringContaining("brought") },
        { serial: 7 }
      ])
      expect((yield* bring(Buffer.from("no state"))).status).toBe(422)
      expect((yield* bring(deep(6))).json.evidence[0]).toMatchObject({
        serial: 6,
        why: expect.stringMatching(/brought\. The state is nested/u)
      })
      const stored = {
        status: 409,
        json: { error: "stored-before", message: "Nothing was taken of this state of demo. It was stored before, with the serial 1." }
      }
      expect([yield* bring(bytes(1)), yield* bring(sealed(apply.id, key, bytes(1)))]).toMatchObject([stored, stored])
      expect((yield* bring(bytes(8), "none")).status).toBe(404)
      const elsewhere = {
        error: "other-workspace",
        message: "This kept state is not of other but of demo, where the server has it now; look at it with: agent-job state show demo"
      }
      const recorded = Effect.map(person(url).as("GET", auditPath.workspace("demo")), ({ json }) =>
        json.entries.filter(({ object }: AuditEntry) => object === `other/${apply.id}`).map(({ action }: AuditEntry) => action))
      expect([(yield* bring(sealed(apply.id, key, bytes(9)), "other")).json, yield* recorded]).toEqual([elsewhere, [
        "POST /api/agent-job/v1/workspaces/:name/state/evidence (kept as evidence)"
      ]])
      expect((yield* bring(sealed(apply.id, key, bytes(1)), "other")).json).toEqual(elsewhere) // it was stored before
      expect(yield* recorded).toHaveLength(1)
    }))

  it.live("becomes no evidence of a doubt that is settled while it arrives, and does not bring that back", () =>
    Effect.gen(function*() {
      const { apply, bring, context, looked, lose, url } = yield* applying
      yield* lose
      const blobs: Blobs["Service"] = Context.getUnsafe(context, Blobs)
      const { receive } = blobs
      vi.spyOn(blobs, "receive").mockImplementationOnce((bytes, limits) => Effect.tap(receive(bytes, limits), person(url).settle("demo")))
      const message = `What ${apply.id} left in doubt is settled by now, so no state is taken; see: agent-job state show demo`
      expect(yield* bring(bytes(8))).toMatchObject({ status: 409, json: { error: "nothing-pending", message } })
      expect(yield* looked).toMatchObject({ evidence: [], pending: [], settled: [{ reason: "NodeLost" }] })
    }))

  it.live("is parsed, so that one that is damaged in its middle becomes no evidence", () =>
    Effect.gen(function*() {
      const { bring, looked, lose } = yield* applying
      yield* lose
      const refused = yield* bring(Buffer.from("{\"version\":4,\"serial\":8,\"lineage\":\"l\",\"resources\":[nothing]}"))
      expect([refused.status, refused.json.error, (yield* looked).evidence]).toEqual([422, "invalid", []])
    }))
})
