// An interrupt at each moment of a run: what becomes of the run, what is said, and the exit code.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { afterEach } from "vitest"
import { runDirectory, type RunRequest } from "../../../../src/cli/run/run-directory.ts"
import {
  MaybeStarted,
  NothingThere,
  type ServerFailure,
  ServerRefused,
  ServerUnreachable,
  TokenRefused,
  unanswered
} from "../../../../src/cli/terminal/failure.ts"
import type { RunView } from "../../../../src/schema/api/run.ts"
import { agent, directory, person, serve, worker } from "../../../server/live-server.ts"
import { type Play, quickstart } from "../../fake-agent.ts"
import { answers, toldScreen } from "../../told-screen.ts"
import {
  anyRun,
  asking,
  client,
  closed,
  languages,
  losing,
  printed,
  request,
  runId,
  running,
  runsAt,
  settled,
  unconnected
} from "./running.ts"

/** A client that sees the run once, and then again only after it is cancelled. */
const seenOnce = Effect.gen(function*() {
  const cancelled = yield* Deferred.make<void>()
  let looks = 0
  return asking((server) => ({
    run: (id) => Effect.andThen(looks++ === 0 ? Effect.void : Deferred.await(cancelled), server.run(id)),
    act: (id, action) => Effect.andThen(server.act(id, action), Deferred.succeed(cancelled, undefined))
  }))
})

describe("an interrupt", () => {
  const { exitCode } = process
  afterEach(() => {
    process.exitCode = exitCode
  })

  const endless = Deferred.makeUnsafe<void>()
  /** Plays whose plan, or apply, goes on until it is cancelled. */
  const planning: Play = { plan: { ...quickstart.plan, until: endless } }
  const applying: Play = { plan: quickstart.plan, apply: { ...quickstart.apply!, until: endless } }

  interface Begun {
    readonly asked?: Partial<RunRequest>
    readonly play?: Play
    readonly clientOf?: typeof client
    readonly screen?: ReturnType<typeof toldScreen>
  }
  /** Runs the example until its screen shows this. */
  const begun = Effect.fnUntraced(function*(shown: string, { asked, clientOf, play, screen = toldScreen() }: Begun) {
    const { run, url } = yield* running(screen, request(asked), play, clientOf)
    const fiber = yield* Effect.forkChild(run)
    yield* screen.until(shown)
    return { fiber, id: runId(screen), screen, url }
  })

  it.live("while it plans cancels the run and waits for its end", () =>
    Effect.gen(function*() {
      const { fiber, id, screen, url } = yield* begun("Initializing…", { play: planning })
      yield* Fiber.interrupt(fiber)
      expect(screen.transcript()).toContain("Interrupted, the state is saved.\n")
      expect(screen.of("step").slice(-2)).toEqual([
        `Cancelling ${id}; it ends once its state is safe. Ctrl-C again leaves it to the server.`,
        `${id} was cancelled.`
      ])
      expect((yield* person(url).view(id)).status).toBe("canceled")
      expect(process.exitCode).toBe(6)
      expect(screen.of("result")).toEqual([])
    }))

  it.live("while the server is asked for the run waits for the answer, and cancels what was started", () =>
    Effect.gen(function*() {
      const said = yield* Deferred.make<void>()
      const screen = toldScreen()
      const slow = asking((server) => ({ createRun: (wanted) => Effect.tap(server.createRun(wanted), () => Deferred.await(said)) }))
      const { run, url } = yield* running(screen, request({ autoApprove: true }), planning, slow)
      const fiber = yield* Effect.forkChild(run)
      const [started] = yield* Effect.repeat(runsAt(url), { until: (runs) => runs.length > 0 })
      const id = started?.id ?? ""
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* screen.until("Waiting for the server to say whether it started the run")
      yield* Deferred.succeed(said, undefined)
      yield* Fiber.join(stopping)
      expect(screen.of("step").at(-1)).toBe(`${id} was cancelled.`)
      expect((yield* person(url).view(id)).status).toBe("canceled")
      expect(process.exitCode).toBe(6)
    }))

  it.live.each([
    {
      given: "without an answer says where to look for the run",
      answer: Effect.fail(new ServerUnreachable({ url: "http://server", detail: "no answer in 30s", why: unanswered })),
      signals: 0,
      told: new MaybeStarted({ url: "http://server", detail: "no answer in 30s", workspace: "demo" }).message,
      code: 4
    },
    {
      given: "which does not hear it, says no more than that",
      answer: Effect.fail(new ServerUnreachable({ url: "http://server", detail: "connection refused", why: unconnected })),
      signals: 0,
      told: new ServerUnreachable({ url: "http://server", detail: "connection refused", why: unconnected }).message,
      code: 4
    },
    {
      given: "a second time leaves at once, and says where to look for the run",
      answer: Effect.never,
      signals: 1,
      told: "Left before the server answered; the run may have started, see: agent-job get runs --workspace demo",
      code: 130
    }
  ])("while the server is asked for the run, $given", ({ answer, code, signals, told }) =>
    Effect.gen(function*() {
      const [heard, said] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const screen = toldScreen()
      const silent = asking(() => ({
        createRun: () => Deferred.succeed(heard, undefined).pipe(Effect.andThen(Deferred.await(said)), Effect.andThen(answer))
      }))
      const { run } = yield* running(screen, request(), quickstart, silent)
      const fiber = yield* Effect.forkChild(run)
      yield* Deferred.await(heard)
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* screen.until("Waiting for the server to say whether it started the run")
      yield* Deferred.succeed(said, undefined)
      for (let sent = 0; sent < signals; sent++) process.emit("SIGINT")
      yield* Fiber.join(stopping)
      expect(screen.of("step").at(-1)).toBe(told)
      expect(process.exitCode).toBe(code)
    }))

  it.live.each(languages)("prints for a program what became of the run, as $output", ({ output, read }) =>
    Effect.gen(function*() {
      const { fiber, id, screen } = yield* begun("Initializing…", { asked: { output }, play: planning })
      yield* Fiber.interrupt(fiber)
      expect(screen.of("result").map((text) => read(text))).toEqual([{
        run: expect.objectContaining({ id, status: "canceled" }),
        outputs: null,
        stateSerial: null
      }])
    }))

  it.live.each([
    { when: "before the run is asked for says that none was started", hung: "upload", told: "No run was started." },
    {
      when: "while the outputs are asked for says what became of the run",
      hung: "outputs",
      told: `${anyRun} is applied, but its outputs were not read; see the run with: agent-job get ${anyRun}`
    }
  ])("$when", ({ hung, told }) =>
    Effect.gen(function*() {
      const heard = yield* Deferred.make<void>()
      const screen = toldScreen()
      const clientOf = asking(() => ({ [hung]: () => Effect.andThen(Deferred.succeed(heard, undefined), Effect.never) }))
      const { run } = yield* running(screen, request({ autoApprove: true }), quickstart, clientOf)
      const fiber = yield* Effect.forkChild(run)
      yield* Deferred.await(heard)
      yield* Fiber.interrupt(fiber)
      expect(settled(screen).split("\n").at(-2)).toBe(told)
    }))

  it.live("while it applies keeps the log going until the state is safe", () =>
    Effect.gen(function*() {
      const { fiber, id, screen, url } = yield* begun("card.ada: Creating...", { asked: { autoApprove: true }, play: applying })
      yield* Fiber.interrupt(fiber)
      expect(screen.transcript().match(/card.ada: Creating/gu)).toHaveLength(1)
      expect(screen.transcript()).toContain("Interrupted, the state is saved.\n")
      expect((yield* person(url).view(id)).status).toBe("canceled")
    }))

  it.live("while it applies, which was not seen yet, shows the apply and waits until its state is safe", () =>
    Effect.gen(function*() {
      const behind = yield* seenOnce
      const asked = { autoApprove: true, output: "json" } as const
      const { fiber, id, screen, url } = yield* begun("Started run-", { asked, play: applying, clientOf: behind })
      yield* Effect.repeat(person(url).view(id), { until: ({ status }) => status === "applying" }).pipe(Effect.timeout("5 minutes"))
      yield* Fiber.interrupt(fiber)
      expect(screen.of("step").slice(-2)).toEqual(["Applying", `${id} was cancelled.`])
      expect(screen.transcript()).toContain("Interrupted, the state is saved.\n")
      expect(printed(screen)).toMatchObject([{ run: { id, status: "canceled" } }])
      expect(process.exitCode).toBe(6)
    }))

  it.live.each<{ readonly given: string; readonly end: Partial<RunView>; readonly says: string; readonly code: number }>([
    {
      given: "leaves the state in doubt says what to do",
      end: { inDoubt: true },
      says: "RUN was cancelled.\nThe state is in doubt; look at it and settle it with: agent-job state rescue demo",
      code: 6
    },
    { given: "fails first says why", end: { status: "errored" }, says: "The apply of RUN failed: The task was cancelled.", code: 1 }
  ])("of an apply that $given", ({ code, end, says }) =>
    Effect.gen(function*() {
      const clientOf = asking((server) => ({ run: (id) => Effect.map(server.run(id), (run) => run.final ? { ...run, ...end } : run) }))
      const { fiber, id, screen } = yield* begun("card.ada: Creating...", { asked: { autoApprove: true }, play: applying, clientOf })
      yield* Fiber.interrupt(fiber)
      expect(screen.of("step").at(-1)).toContain(says.replace("RUN", id))
      expect(process.exitCode).toBe(code)
    }))

  it.live("after the plan, which was not seen yet, says that the run is discarded", () =>
    Effect.gen(function*() {
      const behind = yield* seenOnce
      const { fiber, id, screen, url } = yield* begun("Started run-", { clientOf: behind })
      yield* Effect.repeat(person(url).view(id), { until: ({ status }) => status === "planned" }).pipe(Effect.timeout("5 minutes"))
      yield* Fiber.interrupt(fiber)
      expect(screen.of("step").at(-1)).toBe(`${id} was discarded; nothing was changed.`)
      expect(process.exitCode).toBe(6)
    }))

  it.live("after yes cancels the apply, though the answer to the approval was lost", () =>
    Effect.gen(function*() {
      const deaf = asking((server, url) => ({
        approve: (id, seal) =>
          Effect.andThen(
            server.approve(id, seal),
            Effect.fail(closed(url))
          )
      }))
      const { fiber, id, screen, url } = yield* begun("trying again", {
        play: applying,
        clientOf: deaf,
        screen: toldScreen(answers("yes"))
      })
      yield* Fiber.interrupt(fiber)
      expect(screen.of("step").at(-1)).toBe(`${id} was cancelled.`)
      expect(screen.transcript()).not.toContain("stays planned")
      expect((yield* person(url).view(id)).status).toBe("canceled")
      expect(process.exitCode).toBe(6)
    }))

  it.live("asks for the cancel again when the server goes away just then", () =>
    Effect.gen(function*() {
      const { fiber, id, screen, url } = yield* begun("Initializing…", { play: planning, clientOf: losing })
      yield* Fiber.interrupt(fiber)
      expect(screen.of("step").at(-1)).toBe(`${id} was cancelled.`)
      expect((yield* person(url).view(id)).status).toBe("canceled")
      expect(process.exitCode).toBe(6)
    }))

  it.live.each([
    { given: "by a server that refuses the token", refusal: new TokenRefused({ url: "http://server", given: true }), code: 5 },
    { given: "for a reason of the server", refusal: new ServerRefused({ status: 422, message: "It is not to be cancelled." }), code: 1 },
    { given: "as the run is gone", refusal: new NothingThere({ message: "There is no such run; see agent-job get runs." }), code: 3 }
  ])("whose cancel is refused, $given, says why, with that code", ({ code, refusal }) =>
    Effect.gen(function*() {
      const refusing = asking(() => ({ act: () => Effect.fail(refusal) }))
      const { fiber, id, screen } = yield* begun("Initializing…", { asked: { output: "json" }, play: planning, clientOf: refusing })
      yield* Fiber.interrupt(fiber)
      expect(screen.of("step").slice(-2)).toEqual([
        refusal.message,
        `Cannot cancel ${id}; try again with: agent-job cancel ${id}`
      ])
      expect(printed(screen)).toMatchObject([{ run: { id } }])
      expect(process.exitCode).toBe(code)
    }))

  it.live("that comes later than the end of the apply says so", () =>
    Effect.gen(function*() {
      const until = yield* Deferred.make<void>()
      const late = asking((server) => ({
        act: (id, action) =>
          Deferred.succeed(until, undefined).pipe(
            Effect.andThen(Effect.repeat(server.run(id), { until: ({ final }) => final })),
            Effect.andThen(server.act(id, action))
          ),
        state: () => Effect.never
      }))
      const { fiber, id, screen } = yield* begun("card.ada: Creating...", {
        asked: { autoApprove: true, output: "json" },
        play: { plan: quickstart.plan, apply: { ...quickstart.apply!, until } },
        clientOf: late
      })
      yield* Fiber.interrupt(fiber)
      expect(screen.of("step").at(-1)).toBe(`${id} was faster than the cancel: it is applied.`)
      expect(screen.transcript()).toContain("Apply complete!")
      expect(printed(screen)).toMatchObject([
        { run: { status: "applied" }, outputs: null, stateSerial: null } // to ask for them would hold up the end
      ])
      expect(process.exitCode).toBe(130)
    }))

  it.live("a second time leaves at once, and says how to come back", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const url = yield* Effect.flatMap(directory, serve)
      // The test plays an agent that has taken the plan and does not hear of the cancel.
      const fiber = yield* Effect.forkChild(
        runDirectory(request({ output: "json" })).pipe(Effect.provide(client(url)), Effect.provide(screen.layer))
      )
      yield* screen.until("Started run-")
      const taken = yield* agent(url).take
      yield* worker(url, taken).log(0, "busy\n")
      yield* screen.until("busy")
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* screen.until("Cancelling run-")
      process.emit("SIGINT")
      yield* Fiber.join(stopping)
      expect(screen.of("step").at(-1)).toBe(`Left ${runId(screen)} to the server; follow it with: agent-job logs -f ${runId(screen)}`)
      expect(printed(screen)).toMatchObject([{ run: { id: runId(screen) } }])
      expect(process.exitCode).toBe(130)
    }))

  /** A client that looks at the run no more while somebody is asked about it, until the question is interrupted, and then as `look` says. */
  const notLooking = (look: (run: Effect.Effect<RunView, ServerFailure>) => Effect.Effect<RunView, ServerFailure>) => {
    const question = { asked: false, interrupted: false }
    const screen = toldScreen(Effect.andThen(Effect.sync(() => question.asked = true), Effect.never))
    const clientOf = asking((server) => ({
      run: (id) => Effect.suspend(() => !question.asked ? server.run(id) : question.interrupted ? look(server.run(id)) : Effect.never)
    }))
    return { question, screen, clientOf }
  }

  it.live.each([
    {
      what: "apply" as const,
      until: "applying",
      says: "RUN is no longer planned but applying; follow it with: agent-job logs -f RUN",
      code: 130
    },
    { what: "discard" as const, until: "discarded", says: "RUN was discarded; nothing was changed.", code: 6 },
    { what: "cancel" as const, until: "discarded", says: "RUN was discarded; nothing was changed.", code: 6 }
  ])("at the question, after a $what elsewhere, says what became of the run", ({ code, says, until, what }) =>
    Effect.gen(function*() {
      const { question, ...others } = notLooking((run) => run)
      const { fiber, id, screen, url } = yield* begun("Apply these changes", { asked: { output: "json" }, play: applying, ...others })
      yield* person(url).act(id, what)
      yield* Effect.repeat(person(url).view(id), { until: ({ status }) => status === until }).pipe(Effect.timeout("5 minutes"))
      question.interrupted = true
      yield* Fiber.interrupt(fiber)
      expect(screen.of("step").at(-1)).toBe(says.replaceAll("RUN", id))
      expect(printed(screen)).toMatchObject([{ run: { id, status: until } }])
      expect((yield* person(url).view(id)).status).toBe(until)
      expect(process.exitCode).toBe(code)
    }))

  it.live.each([
    {
      given: "where the server is away",
      look: Effect.fail(new ServerUnreachable({ url: "http://server", detail: "connection refused", why: unconnected }))
    },
    { given: "a second time, before the server answers", look: Effect.never, signals: 1 }
  ])("at the question, $given, does not say that the run is planned", ({ look, signals = 0 }) =>
    Effect.gen(function*() {
      const looking = yield* Deferred.make<void>()
      const { question, ...others } = notLooking(() => Effect.andThen(Deferred.succeed(looking, undefined), look))
      const { fiber, id, screen } = yield* begun("Apply these changes", { asked: { output: "json" }, ...others })
      question.interrupted = true
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* Deferred.await(looking).pipe(Effect.timeout("5 minutes"))
      for (let sent = 0; sent < signals; sent++) process.emit("SIGINT")
      yield* Fiber.join(stopping).pipe(Effect.timeout("4 seconds")) // sooner than the command gives the server up by itself
      expect(screen.of("step").at(-1)).toBe(
        `${id} was planned when it was last seen, and the server does not say whether it still is; look with: agent-job get ${id}`
      )
      expect(printed(screen)).toMatchObject([{ run: { id, status: "planned" } }])
      expect(process.exitCode).toBe(130)
    }))

  it.live("at the question leaves the run planned", () =>
    Effect.gen(function*() {
      const { fiber, id, screen, url } = yield* begun("Apply these changes", {
        asked: { output: "json" },
        screen: toldScreen(Effect.never)
      })
      yield* Fiber.interrupt(fiber)
      expect((yield* person(url).view(id)).status).toBe("planned")
      expect(printed(screen)).toMatchObject([{ run: { id, status: "planned" } }])
      expect(screen.of("step").at(-1)).toBe(
        `${id} stays planned and keeps its workspace: agent-job approve ${id}, or agent-job discard ${id}`
      )
      expect(process.exitCode).toBe(130)
    }))
})
