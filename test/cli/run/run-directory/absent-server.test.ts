// A server that is busy or away: before the run is started, when it is asked to decide, and for good.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { exitCodeOf, NothingThere, NoUse, type ServerFailure, ServerUnreachable } from "../../../../src/cli/terminal/failure.ts"
import type { RunView } from "../../../../src/schema/api/run.ts"
import { person } from "../../../server/live-server.ts"
import { quickstart } from "../../fake-agent.ts"
import { answers, toldScreen } from "../../told-screen.ts"
import { answerLost, asking, closed, eager, losing, printed, request, runId, running, runsAt, unconnected } from "./running.ts"

describe("a server that is busy, or away, before the run is started", () => {
  const unusable = (detail: string, why: NoUse) => new ServerUnreachable({ url: "http://server", detail, why })
  const busy = unusable("it answers 429", NoUse.Busy({ seconds: 0, hadNoEffect: true }))
  const noConnection = unusable("connection refused", unconnected)
  const inFront = unusable("it answers 503", NoUse.Failing({ status: 503, hadNoEffect: false }))
  const lost = closed("http://server")
  const instead = unusable("it answers 403, which is not the server's own", NoUse.Strange())

  type Asked = "ensureWorkspace" | "createVersion" | "upload" | "createRun"

  /** A client whose requests fail the first `times` times, without reaching the server, as `failures` say; `asked` has them in order. */
  const keptWaiting = (failures: Partial<Record<Asked, ServerUnreachable>>, times = 1) => {
    const asked: Array<Asked> = []
    const first = <Given extends ReadonlyArray<unknown>, A>(name: Asked, ask: (...given: Given) => Effect.Effect<A, ServerFailure>) => {
      const failure = failures[name]
      let left = times
      return (...given: Given) =>
        Effect.suspend(() => {
          asked.push(name)
          return failure !== undefined && left-- > 0 ? Effect.fail(failure) : ask(...given)
        })
    }
    const clientOf = asking((server) => ({
      ensureWorkspace: first("ensureWorkspace", server.ensureWorkspace),
      createVersion: first("createVersion", server.createVersion),
      upload: first("upload", server.upload),
      createRun: first("createRun", server.createRun)
    }))
    return { asked, clientOf }
  }

  it.live("is asked again for all, and starts one run", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const { asked, clientOf } = keptWaiting({ ensureWorkspace: busy, createVersion: busy, upload: busy, createRun: busy }, 2)
      const { run, url } = yield* running(screen, request({ planOnly: true }), quickstart, clientOf)
      yield* eager(60)(run)
      expect(asked).toEqual(
        (["ensureWorkspace", "createVersion", "upload", "createRun"] as const).flatMap((name) => [name, name, name])
      )
      expect(screen.of("status")).toContain("The server is busy (it answers 429); trying again")
      expect(yield* runsAt(url)).toHaveLength(1)
    }))

  it.live("gets the archive again for the same version where its answer is lost", () =>
    Effect.gen(function*() {
      const uploaded: Array<string> = []
      const deaf = asking((server, url) => ({
        createVersion: answerLost(url, server.createVersion),
        upload: answerLost(url, (uploadUrl: string, archive: Uint8Array) =>
          Effect.suspend(() => {
            uploaded.push(uploadUrl)
            return server.upload(uploadUrl, archive)
          }))
      }))
      const { run, url } = yield* running(toldScreen(), request({ planOnly: true }), quickstart, deaf)
      yield* eager(60)(run)
      expect([uploaded.length, new Set(uploaded).size]).toEqual([2, 1])
      expect(yield* runsAt(url)).toHaveLength(1)
    }))

  it.live.each([
    { what: "says that it is busy", failures: { ensureWorkspace: busy }, asked: 3 },
    { what: "is away from what is before it", failures: { ensureWorkspace: inFront }, asked: 3 },
    { what: "does not listen, as where the address is wrong", failures: { ensureWorkspace: noConnection }, asked: 1 },
    { what: "does not listen any more", failures: { createVersion: noConnection }, asked: 1 + 3 },
    { what: "takes no archive now", failures: { upload: lost }, asked: 2 + 3 },
    { what: "gets no archive through what is before it", failures: { upload: instead }, asked: 2 + 1 },
    { what: "is not what answers", failures: { createVersion: instead }, asked: 1 + 1 },
    { what: "is busy when it is asked for the run", failures: { createRun: busy }, asked: 3 + 3 },
    { what: "does not listen when it is asked for the run", failures: { createRun: noConnection }, asked: 3 + 3 }
  ])(
    "ends the command with exit code 4 once it was asked as often as it may be, where it $what",
    ({ asked: times, failures }) =>
      Effect.gen(function*() {
        const { asked, clientOf } = keptWaiting(failures, 60)
        const { run, url } = yield* running(toldScreen(), request(), quickstart, clientOf)
        const error = yield* Effect.flip(eager(2)(run))
        expect([error._tag, exitCodeOf(error), asked.length]).toEqual(["ServerUnreachable", 4, times])
        expect(yield* runsAt(url)).toEqual([])
      })
  )

  it.live.each([lost, inFront])(
    "is not asked again for a run that it may have started ($detail), also after it was busy",
    (failure) =>
      Effect.gen(function*() {
        let asked = 0
        const clientOf = asking(() => ({ createRun: () => Effect.suspend(() => Effect.fail(asked++ === 0 ? busy : failure)) }))
        const { run } = yield* running(toldScreen(), request(), quickstart, clientOf)
        const error = yield* Effect.flip(eager(60)(run))
        expect([error._tag, exitCodeOf(error), asked]).toEqual(["MaybeStarted", 4, 2])
      })
  )

  it.live("is left at once by an interrupt between two requests for the run, and starts none", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const { asked, clientOf } = keptWaiting({ createRun: unusable("it answers 429", NoUse.Busy({ seconds: 30, hadNoEffect: true })) })
      const { run, url } = yield* running(screen, request(), quickstart, clientOf)
      const fiber = yield* Effect.forkChild(run)
      yield* screen.until("The server is busy (it answers 429); trying again")
      yield* Fiber.interrupt(fiber).pipe(Effect.timeout("5 minutes"))
      expect(asked.filter((name) => name === "createRun")).toHaveLength(1)
      expect(screen.transcript()).not.toContain("Waiting for the server")
      expect(screen.of("step").at(-1)).toBe("No run was started.")
      expect(yield* runsAt(url)).toEqual([])
    }))
})

describe("the answer of a server that goes away just then is waited for", () => {
  const tryingAgain = "No usable answer from the server (the connection was closed); trying again"

  it.live("at the approval, the outputs and the serial of the state", () =>
    Effect.gen(function*() {
      const screen = toldScreen(answers("yes"))
      const { run } = yield* running(screen, request(), quickstart, losing)
      yield* run
      expect(screen.of("status").filter((text) => text === tryingAgain)).toHaveLength(3)
      expect(screen.transcript()).toContain("Applied: 3 added, 0 changed, 0 destroyed. The state is at serial 7.")
      expect(screen.transcript()).toContain("cards      = ")
    }))

  it.live("at the discard", () =>
    Effect.gen(function*() {
      const screen = toldScreen(answers("no"))
      const { run, url } = yield* running(screen, request(), quickstart, losing)
      expect((yield* Effect.flip(run))._tag).toBe("Cancelled")
      expect(screen.of("status").filter((text) => text === tryingAgain)).toHaveLength(1)
      expect((yield* person(url).view(runId(screen))).status).toBe("discarded")
    }))
})

describe("a run whose server does not come back", () => {
  /** A client of a server that answers nothing more of the run once it was seen with status `last`; without `last`, nothing at all. */
  const leaving = (last?: RunView["status"]) =>
    asking((server, url) => {
      let away = last === undefined
      const unlessAway = <A>(call: Effect.Effect<A, ServerFailure>) =>
        Effect.suspend(() => away ? Effect.fail(new ServerUnreachable({ url, detail: "connection refused", why: unconnected })) : call)
      return {
        run: (id) =>
          unlessAway(Effect.map(server.run(id), (run) => {
            away = run.status === last
            return run
          })),
        log: (...asked) => unlessAway(server.log(...asked)),
        outputs: () => Effect.die("asks for the outputs of a server that is away"),
        state: () => Effect.die("asks for the state of a server that is away")
      }
    })

  it.live.each([
    { given: "while it applies", last: "applying" as const, known: { status: "applying", workspace: "demo" } },
    { given: "before it was ever seen", known: {} }
  ])(
    "is left with words on how to follow it, and printed for a program as it was seen last: $given",
    ({ known, last }) =>
      Effect.gen(function*() {
        const screen = toldScreen()
        const until = yield* Deferred.make<void>()
        const play = { plan: quickstart.plan, apply: { ...quickstart.apply!, until } }
        const { run } = yield* running(screen, request({ autoApprove: true, output: "json" }), play, leaving(last))
        const error = yield* Effect.flip(eager(1)(run))
        const id = runId(screen)
        expect([error._tag, exitCodeOf(error)]).toEqual(["ServerUnreachable", 4])
        expect(screen.of("step").at(-1)).toBe(`${id} goes on without this command; follow it with: agent-job logs -f ${id}`)
        expect(printed(screen)).toEqual([
          { run: expect.objectContaining({ id, ...known }), outputs: null, stateSerial: null }
        ])
      })
  )

  it.live("is not said to go on where the server does not know it any more", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const nothing = new NothingThere({ message: "There is no such run." })
      const { run } = yield* running(screen, request(), quickstart, asking(() => ({ run: () => Effect.fail(nothing) })))
      expect(yield* Effect.flip(run)).toBe(nothing)
      expect(screen.transcript()).not.toContain("goes on")
      expect(screen.of("result")).toEqual([])
    }))
})
