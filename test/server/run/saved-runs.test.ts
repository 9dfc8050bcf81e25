// Runs that only save their plan, as `tofu plan -out=FILE` starts them: they hold their workspace from the approval on, and no sooner.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import {
  agent,
  archiveOf,
  directory,
  failed,
  person,
  planToken,
  planWith,
  serve,
  server,
  sha256,
  succeeded,
  worker
} from "../live-server.ts"

const saving = { "save-plan": true }
const holderOf = (url: string) =>
  Effect.map(person(url).as("GET", "/api/v2/organizations/default/workspaces/demo"), ({ json }) => [
    json.data.attributes.locked,
    json.data.relationships["current-run"].data?.id
  ])
const applied = (url: string) => Effect.flatMap(agent(url).take, (apply) => worker(url, apply).result(succeeded()))

describe("a run that saves its plan", () => {
  it.live("plans beside the run that holds the workspace, and holds it not", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const holder = yield* me.start("demo")
      yield* planWith(url)
      const saved = yield* me.start("demo", saving)
      expect((yield* me.as("GET", `/api/v2/runs/${saved}`)).json.data.attributes).toMatchObject({
        "save-plan": true,
        "position-in-queue": 0
      })
      expect((yield* planWith(url, "its plan")).runId).toBe(saved)
      expect(yield* me.view(saved)).toMatchObject({ status: "planned", planSha256: sha256("its plan") })
      expect(yield* holderOf(url)).toEqual([true, holder])
      yield* me.act(holder, "discard")
      expect(yield* holderOf(url)).toEqual([false, undefined])
      yield* me.start("demo", { "auto-apply": true })
      yield* planWith(url)
      yield* applied(url)
    }))

  it.live("takes the workspace when it is approved, and the next run waits for its end", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const saved = yield* Effect.scoped(Effect.gen(function*() {
        const url = yield* serve(made)
        const id = yield* person(url).start("demo", { ...saving, "auto-apply": true })
        yield* planWith(url)
        return id
      }))
      const url = yield* serve(made) // it is not forgotten
      const me = person(url)
      expect(yield* holderOf(url)).toEqual([false, undefined])
      expect((yield* me.act(saved, "apply")).status).toBe(202)
      expect((yield* me.act(saved, "apply")).status).toBe(202)
      expect(yield* holderOf(url)).toEqual([true, saved])
      const next = yield* me.start("demo")
      expect((yield* me.view(next)).queue).toMatchObject({ blockedBy: saved })
      const apply = yield* agent(url).take
      expect(apply).toMatchObject({ runId: saved, stage: "apply", planSha256: sha256("the plan") })
      yield* worker(url, apply).result(succeeded())
      expect((yield* me.view(saved)).status).toBe("applied")
      expect((yield* agent(url).take).runId).toBe(next)
    }))

  it.live("is not approved while another run holds the workspace, and is afterwards", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const saved = yield* me.start("demo", saving)
      yield* planWith(url)
      const holder = yield* me.start("demo")
      const refused = yield* me.act(saved, "apply")
      expect([refused.status, refused.json.errors[0].detail]).toEqual([
        409,
        `The run ${saved} has a saved plan, and the run ${holder} holds the workspace; apply it once that is over, or plan again if that changes the state.`
      ])
      expect(yield* me.view(saved)).toMatchObject({ status: "planned", stages: [{ stage: "plan" }] })
      yield* me.act(holder, "cancel")
      expect((yield* me.act(saved, "apply")).status).toBe(202)
      expect(yield* holderOf(url)).toEqual([true, saved])
    }))

  it.live("gives the workspace back when it is cancelled before its apply", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const saved = yield* me.start("demo", saving)
      yield* planWith(url)
      yield* me.act(saved, "apply")
      yield* me.act(saved, "cancel")
      expect((yield* me.view(saved)).status).toBe("canceled")
      expect(yield* holderOf(url)).toEqual([false, undefined])
    }))

  it.live.each([{ end: "applied", result: succeeded() }, { end: "errored", result: failed() }])(
    "is discarded when another run was $end first, since the state may be another one",
    ({ end, result }) =>
      Effect.gen(function*() {
        const made = yield* directory
        const url = yield* serve(made)
        const me = person(url)
        const saved = yield* me.start("demo", saving)
        yield* planWith(url, "its plan")
        const elsewhere = yield* me.start("other", saving)
        yield* planWith(url, "another plan")
        const first = yield* me.start("demo", { "auto-apply": true })
        yield* planWith(url)
        expect((yield* me.view(saved)).status).toBe("planned")
        const apply = yield* agent(url).take
        yield* worker(url, apply).lock("a")
        yield* worker(url, apply).unlock("a")
        yield* worker(url, apply).result(result)
        expect((yield* me.view(first)).status).toBe(end)
        expect(yield* me.view(saved)).toMatchObject({
          status: "discarded",
          stoppedBy: `the run ${first}, which began to apply its own plan`
        })
        expect((yield* me.view(elsewhere)).status).toBe("planned")
        expect(readdirSync(join(made, "data", "blobs"))).not.toContain(sha256("its plan"))
        expect((yield* me.act(saved, "apply")).status).toBe(409)
      })
  )

  it.live("goes when twenty newer ones of its workspace wait", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const ordinary = yield* me.start("demo")
      yield* planWith(url)
      const ids = yield* Effect.replicateEffect(Effect.tap(me.start("demo", saving), () => planWith(url)), 22)
      const statuses = yield* Effect.forEach(ids, (id) => Effect.map(me.view(id), ({ status }) => status))
      expect(statuses).toEqual(["discarded", "discarded", ...Array.from({ length: 20 }, () => "planned")])
      expect((yield* me.view(ids[0]!)).stoppedBy).toBe(`the run ${ids[20]}, since 20 newer plans are saved`)
      expect((yield* me.view(ordinary)).status).toBe("planned")
    }))

  it.live("stays, however many wait that others started, who may not approve them", () =>
    Effect.gen(function*() {
      const url = yield* server
      const [me, ci] = [person(url), person(url, planToken)]
      const mine = yield* me.start("demo", saving)
      yield* planWith(url)
      const workspaceId = yield* me.workspace("demo")
      const { id } = yield* ci.upload(workspaceId, archiveOf({ "main.tf": "" }))
      const theirs = yield* Effect.forEach(Array.from({ length: 21 }, (_, at) => String(at)), (message) =>
        Effect.tap(
          Effect.map(ci.run(workspaceId, { ...saving, message }, id), ({ json }) => String(json.data.id)),
          () => planWith(url)
        ))
      const statuses = yield* Effect.forEach([mine, ...theirs.slice(0, 2)], (run) => Effect.map(me.view(run), ({ status }) => status))
      expect(statuses).toEqual(["planned", "discarded", "planned"])
    }))

  it.live("ends with its plan where that changes nothing, or only a plan was asked for", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const unchanged = yield* me.start("demo", saving)
      yield* planWith(url, "the plan", succeeded({ hasChanges: false }))
      const planOnly = yield* me.start("demo", { ...saving, "plan-only": true })
      yield* planWith(url)
      expect([(yield* me.view(unchanged)).status, (yield* me.view(planOnly)).status]).toEqual([
        "planned_and_finished",
        "planned_and_finished"
      ])
    }))
})
