// The outputs and the serial of the state that a run ends with: whose they are, and what is said where the server does not give them.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { runDirectory } from "../../../../src/cli/run/run-directory.ts"
import { ServerClient } from "../../../../src/cli/server/server-client.ts"
import { ServerRefused, TokenRefused } from "../../../../src/cli/terminal/failure.ts"
import { person, succeeded } from "../../../server/live-server.ts"
import { type Play, quickstart } from "../../fake-agent.ts"
import { answers, toldScreen } from "../../told-screen.ts"
import { asking, client, closed, eager, printed, request, running } from "./running.ts"

describe("the outputs and the serial of a run", () => {
  /** An agent whose first apply is that of the quickstart, and each later one stores a newer state with other outputs. */
  const changing = (): Play => {
    let serial = 7
    return {
      plan: quickstart.plan,
      get apply() {
        const { outputs } = quickstart.apply!.state!
        const state = { serial, outputs: serial === 7 ? outputs : { cards: { value: "of a later run", type: "string" } } }
        serial += 1
        return { ...quickstart.apply!, state }
      }
    }
  }

  const another = Effect.fnUntraced(function*(url: string) {
    const id = yield* person(url).start("demo", { "auto-apply": true })
    yield* Effect.repeat(person(url).view(id), { until: ({ status }) => status === "applied" }).pipe(Effect.timeout("5 minutes"))
  })

  const passed =
    "The state of demo was changed again after this run, so the outputs of this run are not shown; see what is there now: agent-job state show demo"

  it.live.each([
    {
      given: "before they were asked for",
      between: (server: ServerClient["Service"], change: Effect.Effect<void>) => ({
        run: (id: string) => Effect.tap(server.run(id), ({ status }) => status === "applied" ? change : Effect.void)
      }),
      serial: null,
      line: "Applied: 3 added, 0 changed, 0 destroyed."
    },
    {
      given: "while they were asked for",
      between: (server: ServerClient["Service"], change: Effect.Effect<void>) => ({
        outputs: (id: string) => Effect.andThen(change, server.outputs(id))
      }),
      serial: 7,
      line: "Applied: 3 added, 0 changed, 0 destroyed. The state is at serial 7."
    }
  ])("are never those of a later run that changed the state $given", ({ between, line, serial }) =>
    Effect.gen(function*() {
      for (const output of ["text", "json"] as const) {
        const screen = toldScreen()
        let changed = false
        const crossed = asking((server, url) =>
          between(
            server,
            Effect.suspend(() => {
              if (changed) return Effect.void
              changed = true
              return another(url).pipe(Effect.orDie)
            })
          )
        )
        const { run } = yield* running(screen, request({ autoApprove: true, output }), changing(), crossed)
        yield* run
        expect(screen.of("line")).toContain(passed)
        if (output === "json") {
          expect(printed(screen)).toMatchObject([
            { run: { status: "applied" }, outputs: null, stateSerial: serial }
          ])
        } else {
          expect(screen.of("line")).toContain(line)
          expect(screen.transcript()).not.toContain("Outputs")
        }
      }
    }))

  it.live("are those of an earlier run where this one changed nothing", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const nothing = { log: ["No changes.\n"], result: succeeded({ changes: { add: 0, change: 0, destroy: 0 }, hasChanges: false }) }
      let plans = 0
      const play: Play = {
        ...quickstart,
        get plan() {
          return plans++ === 0 ? quickstart.plan : nothing
        }
      }
      const { url } = yield* running(screen, request(), play)
      yield* another(url)
      yield* runDirectory(request({ output: "json" })).pipe(Effect.provide(client(url)), Effect.provide(screen.layer))
      expect(printed(screen)).toMatchObject([
        {
          run: { status: "planned_and_finished" },
          outputs: [{ name: "cards" }, { name: "created_at" }, { name: "session" }],
          stateSerial: 7
        }
      ])
    }))
})

describe("outputs that the server does not give", () => {
  const refused = new ServerRefused({ status: 413, message: "These outputs are too large." })
  const away = closed("http://server")

  it.live.each([
    { given: "in its words", failure: refused, says: "These outputs are too large." },
    { given: "where nobody answers any more", failure: away, says: "No usable answer from the agent-job server at http://server" },
    {
      given: "where the token is no longer taken",
      failure: new TokenRefused({ url: "http://server", given: true }),
      says: "refuses the token"
    }
  ])("are told so, $given, and the run is as well as it was", ({ failure, says }) =>
    Effect.gen(function*() {
      const screen = toldScreen(answers("yes"))
      const { run } = yield* running(screen, request(), quickstart, asking(() => ({ outputs: () => Effect.fail(failure) })))
      yield* eager(1)(run)
      expect(screen.transcript()).toContain(says)
      expect(screen.transcript()).toContain("Applied: 3 added, 0 changed, 0 destroyed. The state is at serial 7.")
    }))

  it.live("are null for a program, as the serial is then, which can tell that from none", () =>
    Effect.gen(function*() {
      const screen = toldScreen()
      const silent = asking(() => ({ state: () => Effect.fail(away) }))
      const { run } = yield* running(screen, request({ autoApprove: true, output: "json" }), quickstart, silent)
      yield* eager(1)(run)
      expect(printed(screen)).toMatchObject([
        { run: { status: "applied" }, outputs: null, stateSerial: null }
      ])
    }))
})
