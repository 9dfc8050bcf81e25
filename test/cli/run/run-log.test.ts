import { describe, expect, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, Option, Redacted, Result } from "effect"
import { type LogRequest, showRunLog } from "../../../src/cli/run/run-log.ts"
import { Patience } from "../../../src/cli/server/patiently.ts"
import { ServerClient } from "../../../src/cli/server/server-client.ts"
import { NoUse, ServerUnreachable, unanswered } from "../../../src/cli/terminal/failure.ts"
import type { StageView } from "../../../src/schema/api/run.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { ScriptedServer } from "../../kubernetes/scripted-server.ts"
import { agent, applying, cancelled, directory, failed, person, serve, userToken } from "../../server/live-server.ts"
import { green, playing, quickstart } from "../fake-agent.ts"
import { planned, run, stage } from "../run-views.ts"
import { toldScreen } from "../told-screen.ts"

const asked = (more: Partial<LogRequest> = {}): LogRequest => ({
  run: Option.none(),
  workspace: Option.none(),
  step: Option.none(),
  follow: false,
  ...more
})

const logOf = (url: string, screen: ReturnType<typeof toldScreen>, request: LogRequest) =>
  showRunLog(request).pipe(
    Effect.provide(ServerClient.layer({ url, token: Option.some(Redacted.make(userToken)) })),
    Effect.provide(screen.layer)
  )

const until = (url: string, id: string, status: string) => Effect.repeat(person(url).view(id), { until: (run) => run.status === status })

const plan = `Initializing…\n${green("+")} card.ada\n`
const apply = `card.ada: Creating...\n${green("Apply complete!")}\n`

describe("the log of a run", () => {
  it.live("is that of the plan and of the apply, or of the one that is asked for", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      yield* playing(url, quickstart)
      const id = yield* person(url).start("demo", { "auto-apply": true })
      yield* until(url, id, "applied")
      for (const [step, log] of [[undefined, plan + apply], ["plan", plan], ["apply", apply]] as const) {
        const screen = toldScreen()
        yield* logOf(url, screen, asked({ step: Option.fromUndefinedOr(step) }))
        expect(screen.transcript()).toBe(log)
      }
    }))

  it.live("is that of the newest run of a workspace", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      yield* playing(url, quickstart)
      yield* until(url, yield* person(url).start("one", { "plan-only": true }), "planned_and_finished")
      const screen = toldScreen()
      expect((yield* Effect.flip(logOf(url, screen, asked({ workspace: Option.some("two") })))).message).toContain(
        "There is no workspace two on "
      )
      yield* logOf(url, screen, asked({ workspace: Option.some("one") }))
      expect(screen.transcript()).toBe(plan)
    }))

  it.live("is asked for without the view of any run but the newest", () =>
    Effect.gen(function*() {
      const { server, url } = yield* ScriptedServer.make
      server.otherwise = { body: { runs: [] } }
      expect((yield* Effect.flip(logOf(url, toldScreen(), asked()))).message).toBe("There is no run yet; start one with: agent-job run DIR")
      expect(server.asked.map(({ url }) => url)).toEqual(["/api/agent-job/v1/runs?page%5Bsize%5D=1"])
    }))

  it.live("of the newest run says what that left behind too, which no list has", () =>
    Effect.gen(function*() {
      const { applier, apply, id, url } = yield* applying
      yield* applier.lock("a")
      yield* applier.log(0, "card.ada: Creating...\n")
      const entry = { number: 1, kind: "done", action: "create", address: "card.ada", idKey: "id", id: "1" } as const
      yield* applier.as("POST", taskPath.effects, { entries: [entry] })
      yield* agent(url).report(apply.id, { ...failed("The Pod is gone."), reason: "NodeLost" })
      const [newest, named] = yield* Effect.forEach([Option.none(), Option.some(id)], (run) => {
        const screen = toldScreen()
        return Effect.as(logOf(url, screen, asked({ run })), screen).pipe(Effect.map((_) => _.of("line").join("\n")))
      })
      expect(newest).toContain("Made, but not in the state:")
      expect(newest).toBe(named)
    }))

  it.live.each([false, true])(
    "waits for a server that is away for a moment, and not for one that does not answer at all (followed: %s)",
    (follow) =>
      Effect.gen(function*() {
        const shown = (...failures: ReadonlyArray<NoUse>) => {
          const left = failures.map((why) => Effect.fail(new ServerUnreachable({ url: "http://server", detail: "so", why })))
          const screen = toldScreen()
          const server = Layer.mock(ServerClient, {
            url: "http://server",
            run: () =>
              Effect.suspend(() => left.shift() ?? Effect.succeed(run({ ...planned, status: "planned_and_finished", final: true }))),
            log: (_, offset) => Effect.succeed(new TextEncoder().encode(offset === 0 ? "\x02Planning\n\x03" : ""))
          })
          return showRunLog(asked({ follow, run: Option.some("run-a1") })).pipe(
            Effect.provide(Layer.merge(server, screen.layer)),
            Effect.provideService(Patience, { every: Duration.millis(1), times: 2 }),
            Effect.map(screen.transcript)
          )
        }
        expect(yield* shown(NoUse.Failing({ status: 503, hadNoEffect: false }))).toBe("Planning\n")
        expect(yield* Effect.flip(shown(unanswered))).toMatchObject({ _tag: "ServerUnreachable" })
      })
  )

  it.live("is not there yet while nobody has taken the run, and that is said", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const first = yield* person(url).start("demo")
      const second = yield* person(url).start("demo")
      const screen = toldScreen()
      yield* logOf(url, screen, asked())
      expect(screen.transcript()).toBe(
        `${second} has no plan log yet. The run ${first} holds the workspace and is pending: No controller has asked for work in the last 90 seconds; check that one runs, is not drained, and has the right pool token\n`
      )
    }))

  const ofApply = (more: Partial<StageView>) => stage({ id: "run-a1.apply.1", stage: "apply", ...more })
  const noController = { position: 1, message: "No controller has asked for work in the last 90 seconds." }
  it.effect.each([
    { given: "its plan is made", view: run({ stages: [stage({ status: "running" })] }), told: "Planning" },
    { given: "its plan waits", view: run({ status: "pending", stages: [stage({})], queue: noController }), told: noController.message },
    {
      given: "somebody has to decide",
      view: planned,
      told: "It waits for a decision: agent-job approve run-a1, or agent-job discard run-a1"
    },
    {
      given: "it is offered",
      view: run({ ...planned, status: "confirmed", stages: [...planned.stages, ofApply({})], queue: noController }),
      told: noController.message
    },
    {
      given: "it begins",
      view: run({ ...planned, status: "applying", stages: [...planned.stages, ofApply({ status: "running" })] }),
      told: "Applying"
    }
  ])("of an apply is not there yet while $given, and that is said", ({ told, view }) =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const server = Layer.mock(ServerClient, {
        url: "http://server",
        run: () => Effect.succeed(view),
        log: () => Effect.succeed(new Uint8Array(0))
      })
      yield* showRunLog(asked({ run: Option.some(view.id), step: Option.some("apply") })).pipe(
        Effect.provide(server),
        Effect.provide(screen.layer)
      )
      expect(screen.transcript()).toBe(`run-a1 has no apply log yet. ${told.replace(/\.$/u, "")}\n`)
    }))

  it.live("of a run that ended before anything ran is missed in a sentence", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const id = yield* person(url).start("demo")
      yield* person(url).act(id, "cancel")
      const screen = toldScreen()
      expect(yield* Effect.flip(logOf(url, screen, asked()))).toMatchObject({
        _tag: "Failed",
        message: `${id} has no log: nothing was written to it, and the run is canceled; see agent-job get ${id}.`
      })
      expect(yield* Effect.flip(logOf(url, screen, asked({ follow: true })))).toMatchObject({ _tag: "Cancelled" })
      expect(screen.transcript()).toBe(`${id} was cancelled.\n`)
    }))

  it.live("of an apply that never was is missed in a sentence", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      yield* playing(url, quickstart)
      const id = yield* person(url).start("demo", { "plan-only": true })
      yield* until(url, id, "planned_and_finished")
      expect((yield* Effect.flip(logOf(url, toldScreen(), asked({ step: Option.some("apply") })))).message).toBe(
        `${id} has no apply log: nothing was written to it, and the run is planned and finished; see agent-job get ${id}.`
      )
    }))

  it.live("followed goes on through the decision to the end", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const go = yield* Deferred.make<void>()
      yield* playing(url, { ...quickstart, plan: { ...quickstart.plan, until: go } })
      const id = yield* person(url).start("demo")
      const screen = toldScreen()
      const following = yield* Effect.forkChild(logOf(url, screen, asked({ follow: true, run: Option.some(id) })))
      yield* screen.until("Initializing…")
      yield* Deferred.succeed(go, undefined)
      yield* screen.until(`${id} waits for a decision: agent-job approve ${id}, or agent-job discard ${id}`)
      yield* person(url).act(id, "apply")
      yield* Fiber.join(following)
      expect(screen.transcript()).toBe(plan + apply)
    }))

  it.live("followed goes on after a byte that ends a log and that the engine printed", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const go = yield* Deferred.make<void>()
      yield* playing(url, { plan: { ...quickstart.plan, log: ["Initializing…\n\x03", "planned\n"], until: go } })
      const id = yield* person(url).start("demo", { "plan-only": true })
      const screen = toldScreen()
      const following = yield* Effect.forkChild(logOf(url, screen, asked({ follow: true, run: Option.some(id) })))
      yield* screen.until("Initializing…")
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(following)
      expect(screen.transcript()).toBe("Initializing…\nplanned\n")
    }))

  it.live("followed ends with the plan when the run is discarded", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      yield* playing(url, quickstart)
      const id = yield* person(url).start("demo")
      const screen = toldScreen()
      const following = yield* Effect.forkChild(logOf(url, screen, asked({ follow: true })))
      yield* screen.until("waits for a decision")
      yield* person(url).act(id, "discard")
      expect(yield* Effect.flip(Fiber.join(following))).toMatchObject({ _tag: "Cancelled", message: expect.stringContaining("discarded") })
      expect(screen.transcript()).toBe(plan)
    }))

  it.live.each([
    { decision: "apply" as const, tag: undefined, log: apply },
    { decision: "discard" as const, tag: "Cancelled", log: "" }
  ])(
    "of an apply alone is followed from before its plan, through the $decision, and says again and again what it waits for",
    ({ decision, log, tag }) =>
      Effect.gen(function*() {
        const url = yield* Effect.flatMap(directory, serve)
        const go = yield* Deferred.make<void>()
        yield* playing(url, { ...quickstart, plan: { ...quickstart.plan, until: go } })
        const id = yield* person(url).start("demo")
        yield* until(url, id, "planning")
        const screen = toldScreen()
        const following = yield* Effect.forkChild(Effect.result(logOf(url, screen, asked({ follow: true, step: Option.some("apply") }))))
        yield* screen.until("Planning")
        yield* Deferred.succeed(go, undefined)
        const waits = `${id} waits for a decision: agent-job approve ${id}, or agent-job discard ${id}`
        yield* screen.until(waits)
        yield* Effect.repeat(Effect.sleep("100 millis"), { until: () => screen.of("status").filter((said) => said === waits).length > 1 })
        yield* person(url).act(id, decision)
        const end = yield* Fiber.join(following)
        expect(Result.isFailure(end) ? end.failure._tag : undefined).toBe(tag)
        expect(screen.transcript()).toBe(log)
      })
  )

  const doubt = "The state is in doubt; look at it and settle it with: agent-job state rescue demo"
  it.live.each([
    { how: "failed", result: failed("tofu was killed."), says: "The apply of RUN failed: tofu was killed.", tag: "Failed" },
    { how: "was cancelled", result: cancelled, says: "RUN was cancelled.", tag: "Cancelled" }
  ])(
    "of an apply that $how is followed by why, and followed ends with that; the log of its plan does not",
    ({ result, says, tag }) =>
      Effect.gen(function*() {
        const url = yield* Effect.flatMap(directory, serve)
        yield* playing(url, {
          plan: quickstart.plan,
          apply: { log: ["card.ada: Creating...\n"], result: { ...result, statePushed: false } }
        })
        const id = yield* person(url).start("demo", { "auto-apply": true })
        const followed = toldScreen()
        const error = yield* Effect.flip(logOf(url, followed, asked({ follow: true })))
        expect(error._tag).toBe(tag)
        expect(error.message).toContain(says.replace("RUN", id))
        expect(error.message).toContain(doubt)
        expect(followed.transcript()).toBe(`${plan}card.ada: Creating...\n`)
        const shown = toldScreen()
        yield* logOf(url, shown, asked())
        expect(shown.transcript()).toBe(`${plan}card.ada: Creating...\n${error.message}\n`)
        expect(shown.of("line")).toEqual([error.message])
        for (const follow of [false, true]) {
          const ofPlan = toldScreen()
          yield* logOf(url, ofPlan, asked({ follow, step: Option.some("plan") }))
          expect(ofPlan.transcript()).toBe(plan)
        }
      })
  )
})
