// The question whether to apply, what each answer does, and what else may end it.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { exitCodeOf, NotAllowed, ServerRefused, ServerUnreachable, unanswered } from "../../../../src/cli/terminal/failure.ts"
import { person } from "../../../server/live-server.ts"
import { until } from "../../../until.ts"
import { quickstart } from "../../fake-agent.ts"
import { answers, silence, toldScreen } from "../../told-screen.ts"
import { asking, closed, eager, failing, request, runId, running } from "./running.ts"

describe("the question", () => {
  it.live("answered with yes applies", () =>
    Effect.gen(function*() {
      const screen = toldScreen(answers(" yes "))
      const { run, url } = yield* running(screen, request())
      yield* run
      expect(screen.of("ask")).toEqual([
        expect.stringMatching(/^Apply these changes to demo \(seal [0-9a-f]{12}\)\? Only "yes" applies them\.$/u)
      ])
      expect((yield* person(url).view(runId(screen))).status).toBe("applied")
    }))

  it.live.each(["no", "y", "YES", ""])("answered with %j discards", (typed) =>
    Effect.gen(function*() {
      const screen = toldScreen(answers(typed))
      const { run, url } = yield* running(screen, request())
      const error = yield* Effect.flip(run)
      expect([exitCodeOf(error), error.message.replace(/run-\w+/u, "RUN")]).toEqual([6, "RUN was discarded; nothing was changed."])
      expect((yield* person(url).view(runId(screen))).status).toBe("discarded")
    }))

  it.live("that gets no answer leaves the run planned", () =>
    Effect.gen(function*() {
      const screen = toldScreen(silence)
      const { run, url } = yield* running(screen, request())
      yield* run
      expect((yield* person(url).view(runId(screen))).status).toBe("planned")
    }))

  it.live("is over when the run is approved elsewhere", () =>
    Effect.gen(function*() {
      const screen = toldScreen(Effect.never)
      const { run, url } = yield* running(screen, request())
      const fiber = yield* Effect.forkChild(run)
      yield* screen.until("Apply these changes")
      yield* person(url).act(runId(screen), "apply")
      yield* Fiber.join(fiber)
      expect(screen.transcript()).toContain("Decided elsewhere\n")
      expect(screen.transcript()).toContain("Applied: 3 added")
    }))

  it.live("is over when the run is approved elsewhere, also after the server was away meanwhile", () =>
    Effect.gen(function*() {
      let [away, missed] = [false, 0]
      const missing = asking((server, url) => ({
        run: (id) =>
          Effect.suspend(() =>
            away ? Effect.fail(new ServerUnreachable({ url, detail: `asked ${++missed} times`, why: unanswered })) : server.run(id)
          )
      }))
      const screen = toldScreen(Effect.never)
      const { run, url } = yield* running(screen, request(), quickstart, missing)
      const fiber = yield* Effect.forkChild(run)
      yield* screen.until("Apply these changes")
      away = true
      yield* until(() => missed > 0)
      away = false
      yield* person(url).act(runId(screen), "apply")
      yield* Fiber.join(fiber).pipe(Effect.timeout("5 minutes"))
      expect(screen.transcript()).toContain("Decided elsewhere\n")
    }))

  /** A client of a person who answers just after somebody else did `what` with the run. */
  const afterSomebody = (what: "apply" | "cancel" | "discard") =>
    asking((server) => {
      const did = (id: string) => what === "apply" ? server.approve(id, undefined) : server.act(id, what)
      return {
        approve: (id, seal) => Effect.andThen(did(id), server.approve(id, seal)),
        act: (id, action) => Effect.andThen(did(id), server.act(id, action))
      }
    })

  it.live.each([
    { what: "discard" as const },
    { what: "cancel" as const }
  ])("answered with yes just after a $what elsewhere ends as that one says", ({ what }) =>
    Effect.gen(function*() {
      const screen = toldScreen(answers("yes"))
      const { run } = yield* running(screen, request(), quickstart, afterSomebody(what))
      const error = yield* Effect.flip(run)
      expect([exitCodeOf(error), error.message]).toEqual([6, `${runId(screen)} was discarded; nothing was changed.`])
      expect(screen.of("step").at(-1)).toBe("Discarded elsewhere")
    }))

  it.live("answered with no just after it was approved elsewhere follows the apply", () =>
    Effect.gen(function*() {
      const screen = toldScreen(answers("no"))
      const { run } = yield* running(screen, request(), quickstart, afterSomebody("apply"))
      yield* run
      expect(screen.of("step").slice(-2)).toEqual(["Decided elsewhere", "Applying"])
      expect(screen.transcript()).toContain("Applied: 3 added")
    }))

  it.live("answered with yes shows the apply that this started, also where it fails before the approval is asked for again", () =>
    Effect.gen(function*() {
      const screen = toldScreen(answers("yes"))
      let times = 0
      const late = asking((server, url) => ({
        approve: (id, seal) =>
          times++ > 0 ? server.approve(id, seal) : Effect.andThen(
            Effect.andThen(server.approve(id, seal), Effect.repeat(server.run(id), { until: ({ final }) => final })),
            Effect.fail(closed(url))
          )
      }))
      const { run } = yield* running(screen, request(), failing, late)
      const error = yield* Effect.flip(eager(1)(run))
      expect([exitCodeOf(error), error.message.replace(/run-\w+/u, "RUN").split("\n")[0]]).toEqual([
        1,
        "The apply of RUN failed: The engine ended with exit code 1."
      ])
      expect(screen.of("step").at(-1)).toBe("Applying")
      expect(screen.transcript()).toContain("Error: no\n")
    }))

  it.live.each([
    { typed: "yes", refused: new ServerRefused({ status: 409, message: "The run has another plan." }) },
    { typed: "no", refused: new ServerRefused({ status: 409, message: "The run has another plan." }) },
    { typed: "yes", refused: new NotAllowed({ message: "The token of CI has role=plan, which does not allow this." }) }
  ])(
    "whose answer $typed is refused, while nobody has decided, ends with the refusal",
    ({ refused, typed }) =>
      Effect.gen(function*() {
        const screen = toldScreen(answers(typed))
        const refusing = asking(() => ({ approve: () => Effect.fail(refused), act: () => Effect.fail(refused) }))
        const { run } = yield* running(screen, request(), quickstart, refusing)
        expect(yield* Effect.flip(run)).toBe(refused)
        const id = runId(screen)
        expect(screen.of("step").at(-1)).toBe(`${id} is left as it is on the server; look with: agent-job get ${id}`)
      })
  )

  it.live("names what is destroyed", () =>
    Effect.gen(function*() {
      const screen = toldScreen(answers("no"))
      const { run } = yield* running(screen, request({ destroy: true }))
      yield* Effect.flip(run)
      expect(screen.of("ask")).toEqual([
        expect.stringMatching(/^Destroy all of this in demo \(seal [0-9a-f]{12}\)\? Only "yes" destroys it\.$/u)
      ])
    }))
})
